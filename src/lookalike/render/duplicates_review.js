// Takes the decisions of the page of `lookalike gallery duplicates`, and saves them as a file. Nothing is sent.
"use strict";

(() => {
	const sections = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("section.group")]);
	const told = /** @type {HTMLElement} */ (document.getElementById("told"));
	const save = /** @type {HTMLButtonElement} */ (document.getElementById("save"));
	const next = /** @type {HTMLElement} */ (document.getElementById("next"));
	let unsaved = false;

	/**
	 * What is chosen for a group, or "" before.
	 * @param {HTMLElement} section
	 * @returns {string}
	 */
	function chosen(section) {
		const choice = /** @type {HTMLInputElement | null} */ (section.querySelector(".choices input:checked"));
		return choice === null ? "" : choice.value;
	}

	/**
	 * Cards of the items that a decision is about.
	 * @param {HTMLElement} section
	 * @returns {HTMLElement[]}
	 */
	function included(section) {
		const cards = /** @type {HTMLElement[]} */ ([...section.querySelectorAll("li")]);
		return cards.filter(card => {
			const box = /** @type {HTMLInputElement | null} */ (card.querySelector("input.included"));
			return box === null || box.checked;
		});
	}

	/**
	 * The decision of a group, in the form that `lookalike gallery merge --decisions` reads; null before there is one.
	 * @param {HTMLElement} section
	 */
	function decision(section) {
		const cards = included(section);
		const what = chosen(section);
		if (what === "" || cards.length < 2) {
			return null;
		}
		const items = cards.map(card => ({
			id: card.dataset.id,
			product: card.dataset.product ?? null,
			content: card.dataset.content ?? null,
		}));
		if (what === "merge") {
			const product = /** @type {HTMLSelectElement} */ (section.querySelector("select"));
			return {decision: what, items, product: product.value};
		}
		if (what === "remove") {
			const kept = /** @type {HTMLInputElement | null} */ (section.querySelector("input.keep:checked"));
			const card = /** @type {HTMLElement | null} */ (kept === null ? null : kept.closest("li"));
			return card === null || !cards.includes(card) ? null : {decision: what, items, keep: card.dataset.id};
		}
		return {decision: what, items};
	}

	function decisions() {
		return sections.map(decision).filter(each => each !== null);
	}

	function show() {
		for (const section of sections) {
			const what = chosen(section);
			const whole = decision(section) !== null;
			section.dataset.chosen = what;
			const missing = /** @type {HTMLElement} */ (section.querySelector(".missing-part"));
			missing.hidden = what === "" || whole;
			missing.textContent =
				included(section).length < 2 ? "Include two items or more." : "Choose the photo to keep among the included.";
		}
		const count = decisions().length;
		told.textContent = `${count} of ${sections.length} decided`;
		save.disabled = count === 0;
	}

	document.addEventListener("change", () => {
		unsaved = true;
		show();
	});

	save.addEventListener("click", () => {
		const text = JSON.stringify({decisions: decisions()}, null, "\t");
		const link = document.createElement("a");
		link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
		link.download = "decisions.json";
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 60000);
		next.hidden = false;
		unsaved = false;
	});

	window.addEventListener("beforeunload", event => {
		if (unsaved && decisions().length > 0) {
			event.preventDefault();
		}
	});

	window.addEventListener("pageshow", show); // also after what a browser restores when the page is loaded again
})();
