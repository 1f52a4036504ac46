// The photo of a query: its garments as outlines and by name, each of which can be chosen.

import {make} from "./elements.js";
import {kindIn, textsIn} from "./texts.js";

/**
 * @typedef {object} Garment
 * @property {number} number Place among the garments of its photo, from 1.
 * @property {string} kind
 * @property {[number, number, number, number]} box x1, y1, x2, y2 in pixels of the upright photo.
 */

export class Stage {
	#url = "";
	#photo = make("div", {class: "stage", part: "stage"});
	#names;

	/**
	 * @param {readonly string[]} languages
	 * @param {{choose: (garment: string) => void, remove: () => void}} told Called with the number of a garment or `whole`, and when
	 *   the photo is removed.
	 */
	constructor(languages, {choose, remove}) {
		this.languages = languages;
		this.texts = textsIn(languages);
		this.choose = choose;
		this.#names = make("div", {class: "kinds", role: "group", "aria-label": this.texts.garments});
		const away = this.#button(this.texts.remove, {onclick: remove});
		this.element = make(
			"div",
			{class: "query", hidden: true},
			this.#photo,
			make("div", {class: "choices"}, this.#names, away),
		);
	}

	/** Show a photo without garments; null hides it. @param {Blob|null} photo */
	show(photo) {
		if (this.#url) URL.revokeObjectURL(this.#url);
		this.#url = photo ? URL.createObjectURL(photo) : "";
		this.#names.replaceChildren();
		this.#photo.replaceChildren();
		this.element.hidden = !photo;
		if (photo) this.#photo.append(make("img", {src: this.#url, alt: this.texts.yours}));
	}

	/** Show the garments of the photo. @param {Garment|null} chosen @param {Garment[]} others */
	showGarments(chosen, others) {
		const image = this.#photo.querySelector("img");
		if (!image) return;
		const all = [...(chosen ? [chosen] : []), ...others].sort((one, other) => one.number - other.number);
		const garments = all.length > 1 ? all : [];
		const focused = [...this.#names.children].findIndex(button => button.matches(":focus"));
		this.#names.replaceChildren(
			...garments.map(garment => this.#button(kindIn(garment.kind, this.languages), this.#choice(garment, chosen))),
			...(chosen ? [this.#button(this.texts.whole, {onclick: () => this.choose("whole")})] : []),
		);
		/** @type {HTMLElement|undefined} */ (this.#names.children[focused])?.focus();
		const outline = () => {
			for (const old of this.#photo.querySelectorAll(".outline")) old.remove();
			for (const garment of garments) this.#photo.append(this.#outline(garment, chosen, image));
		};
		image.decode().then(outline, () => image.remove()); // a format that this browser does not show
	}

	#button(text, properties) {
		return make("button", {type: "button", class: "button small", part: "button", ...properties}, text);
	}

	#choice({number}, chosen) {
		const isChosen = number === chosen?.number;
		return {"aria-pressed": String(isChosen), onclick: () => isChosen || this.choose(String(number))};
	}

	#outline(garment, chosen, {naturalWidth: width, naturalHeight: height}) {
		const [x1, y1, x2, y2] = garment.box;
		const label = {"aria-label": kindIn(garment.kind, this.languages), tabindex: "-1"}; // keys have the names beside the photo
		const outline = make("button", {type: "button", class: "outline", ...label, ...this.#choice(garment, chosen)});
		const sides = {left: x1 / width, top: y1 / height, width: (x2 - x1) / width, height: (y2 - y1) / height};
		for (const [side, part] of Object.entries(sides)) outline.style[side] = `${part * 100}%`;
		outline.style.zIndex = String(Math.round(1e4 * (1 - sides.width * sides.height))); // small ones on top
		return outline;
	}
}
