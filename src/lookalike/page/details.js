// Dialog with the details of an item.

import {icon, make, picture, plainClick} from "./dom.js";
import {THUMBNAIL, getItem, photoUrl, search} from "./api.js";
import {parts} from "./results.js";
import {isNaming, labelOf, nameOf, scoreText, valueText} from "./labels.js";

const PHOTO = 1024;
const NEIGHBOURS = 8;

export class Details {
	/**
	 * @param {HTMLDialogElement} dialog
	 * @param {{search: (id: string) => void, details: (id: string) => void, closed: () => void, hrefOf: (id: string) => string, say: (text: string) => void, explain: (match: object, signal: AbortSignal) => Promise<any>}} doors
	 */
	constructor(dialog, doors) {
		this.dialog = dialog;
		this.doors = doors;
		dialog.addEventListener("close", () => {
			this.#stop?.abort();
			if (this.id !== null) doors.closed();
			this.id = null;
		});
		dialog.addEventListener("click", event => event.target === dialog && dialog.close());
	}

	id = null;
	#stop = null;

	close() {
		this.id = null;
		if (this.dialog.open) this.dialog.close();
	}

	/**
	 * @param {string} id
	 * @param {{match: object|null, weights: object|null}} found The clicked match, or null.
	 */
	async show(id, {match, weights}) {
		if (this.id === id) return;
		this.id = id;
		this.#stop?.abort();
		this.#stop = new AbortController();
		const {signal} = this.#stop;
		this.#fill(match ?? {id, attributes: {}}, match && weights ? parts(match, weights) : null, match);
		if (!this.dialog.open) this.dialog.showModal();
		this.dialog.scrollTop = 0;
		try {
			if (!match) this.#fill(await getItem(id, signal), null, null);
			const {matches} = await search({item: id, k: NEIGHBOURS}, signal);
			if (this.id === id) this.#showNeighbours(matches);
		} catch (error) {
			if (!signal.aborted && this.id === id)
				this.#neighbours.replaceChildren(make("p", {class: "notice-text"}, error.message));
		}
	}

	#fill(item, score, match) {
		const {search: searchBy, hrefOf} = this.doors;
		const facts = [["product", item.product], ...Object.entries(item.attributes), ["id", item.id]].filter(
			([name, value]) => !isNaming(name) && valueText(value) !== "",
		);
		this.#neighbours = make("div", {class: "neighbours"});
		const link = new URL(hrefOf(item.id), document.baseURI).href;
		this.dialog.replaceChildren(
			make(
				"button",
				{class: "icon-button close", "aria-label": "Close", onclick: () => this.dialog.close()},
				icon("close"),
			),
			make(
				"div",
				{class: "details-in"},
				make(
					"div",
					{class: "details-photo"},
					picture(photoUrl(item.id, PHOTO), {uncut: true, width: "600", height: "800", alt: nameOf(item)}),
				),
				make(
					"div",
					{class: "details-about"},
					make("h2", {id: "details-title"}, nameOf(item)),
					match &&
						make(
							"p",
							{class: "details-score"},
							make("b", {}, scoreText(match.score)),
							` rank ${match.rank}`,
							match.relevance !== undefined && `, of the same kind with ${Math.round(match.relevance * 100)} %`,
						),
					score,
					make(
						"p",
						{class: "actions"},
						make(
							"button",
							{class: "button main", autofocus: true, onclick: () => searchBy(item.id)},
							icon("look"),
							"Find similar",
						),
						match && !match.box && !match.garment && this.#explainButton(match),
						this.#copyButton("Copy link", link),
						this.#copyButton("Copy id", item.id),
					),
					make(
						"dl",
						{class: "facts-table"},
						...facts.map(([name, value]) =>
							make("div", {}, make("dt", {}, name === "id" ? "Id" : labelOf(name)), make("dd", {}, valueText(value))),
						),
					),
				),
				make(
					"section",
					{class: "details-more", "aria-label": "Items like this one"},
					make("h3", {}, "Like this one"),
					this.#neighbours,
				),
			),
		);
		this.#neighbours.append(...Array.from({length: NEIGHBOURS}, () => make("span", {class: "small-tile"})));
	}

	#neighbours = null;

	#showNeighbours(matches) {
		this.#neighbours.replaceChildren(
			...matches.map(match =>
				make(
					"a",
					{
						class: "small-tile",
						href: this.doors.hrefOf(match.id),
						"aria-label": nameOf(match),
						title: nameOf(match),
						onclick: plainClick(() => this.doors.details(match.id)),
					},
					picture(photoUrl(match.id, THUMBNAIL), {width: "150", height: "200"}),
				),
			),
		);
		if (!matches.length)
			this.#neighbours.append(make("p", {class: "notice-text"}, "There is nothing else in this catalogue."));
	}

	/** Button that marks where a match agrees with the query. */
	#explainButton(match) {
		const button = make(
			"button",
			{
				class: "button quiet",
				onclick: async () => {
					button.disabled = true;
					const seen = await this.doors.explain(match, this.#stop.signal).catch(() => null);
					const image = this.dialog.querySelector(".details-photo").querySelector("img");
					if (!button.isConnected) return;
					if (seen && image) image.after(veil(image, seen.match));
					this.doors.say((button.textContent = seen ? "Brighter: agrees more" : "It cannot be said"));
				},
			},
			"Why similar?",
		);
		return button;
	}

	#copyButton(label, text) {
		const button = make(
			"button",
			{
				class: "button quiet",
				onclick: async () => {
					const done = await copy(text, this.dialog);
					button.textContent = done ? "Copied" : "Not copied";
					this.doors.say(done ? "Copied" : "This browser does not let the page copy");
					setTimeout(() => (button.textContent = label), 1600);
				},
			},
			label,
		);
		return button;
	}
}

/** Veil over a photo that is thinner where it agrees. */
function veil({naturalWidth: width, naturalHeight: height}, {agreement, area: [left, top, right, bottom]}) {
	const cells = make("canvas", {width: agreement[0].length, height: agreement.length});
	const brush = cells.getContext("2d");
	agreement.forEach((row, y) =>
		row.forEach((value, x) => {
			brush.fillStyle = `rgb(0 0 0 / ${Math.max(0.75 - value / 0.6, 0)})`; // none from 0.45 on, as in other pictures
			brush.fillRect(x, y, 1, 1);
		}),
	);
	const over = make("canvas", {width, height, class: "veil"});
	over.getContext("2d").drawImage(cells, left * width, top * height, (right - left) * width, (bottom - top) * height);
	return over;
}

/** Copy a text to the clipboard; without a secure origin, by the older API. */
async function copy(text, beside) {
	if (navigator.clipboard)
		return navigator.clipboard.writeText(text).then(
			() => true,
			() => false,
		);
	const field = make("textarea", {class: "unseen", readonly: true});
	field.value = text;
	beside.append(field);
	field.select();
	const done = document.execCommand("copy");
	field.remove();
	return done;
}
