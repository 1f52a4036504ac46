// Events: which matches were seen and chosen, told to the server.

import {base, headersOf} from "./place.js";

const GATHER_MS = 1000;
const MOST = 100; // of a request

/**
 * @typedef {object} Shown A match of an answer.
 * @property {import("./place.js").Place} place
 * @property {string} query_id
 * @property {string} id
 */

export class Teller {
	/** @type {WeakMap<Element, Shown>} */
	#shown = new WeakMap();
	/** @type {Shown[]} */
	#seen = [];
	#timer = 0;
	#watcher = new IntersectionObserver(entries => this.#look(entries), {threshold: 0.5});

	#hide = () => document.hidden && this.#send();

	/** Tell, once for each answer, when half of a card has come into view. @param {Element} card @param {Shown} shown */
	watch(card, shown) {
		if (this.#shown.get(card)?.query_id === shown.query_id) return;
		this.#shown.set(card, shown);
		this.#watcher.observe(card);
	}

	/** Tell what the visitor did with a match. @param {Shown} shown @param {"click"|"like"|"less"} type */
	choose(shown, type = "click") {
		tell([shown], type);
	}

	#look(entries) {
		for (const {target, isIntersecting} of entries) {
			if (!isIntersecting) continue;
			this.#watcher.unobserve(target);
			this.#seen.push(this.#shown.get(target));
			document.addEventListener("visibilitychange", this.#hide); // once, however often it is added
			this.#timer ||= setTimeout(() => this.#send(), GATHER_MS);
		}
	}

	#send() {
		document.removeEventListener("visibilitychange", this.#hide);
		clearTimeout(this.#timer);
		this.#timer = 0;
		while (this.#seen.length) tell(this.#seen.splice(0, MOST), "view");
	}
}

/** Best effort: a search does not depend on it. @param {Shown[]} shown @param {string} type */
function tell(shown, type) {
	const {place} = shown[0];
	const headers = {"Content-Type": "application/json", ...headersOf(place)};
	const body = JSON.stringify(shown.map(({query_id, id}) => ({query_id, type, id})));
	// goes on when the visitor leaves for the product's page
	fetch(`${base(place)}/events`, {method: "POST", headers, body, keepalive: true, credentials: "same-origin"})
		.then(answer => answer.text())
		.catch(() => {});
}
