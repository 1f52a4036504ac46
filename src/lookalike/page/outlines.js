// Outlines of the garments in the photo: buttons, each of which chooses its garment.

import {QUIETLY, make, put} from "./dom.js";
import {capital, kindText} from "./labels.js";
import {message} from "./settings.js";

const REACH = 12; // pixels beside an outline that a tap still counts for

/** @typedef {import("./types.js").Garment} Garment */

export class Outlines {
	/** @type {Garment[]|null} */
	#garments = null;
	#buttons = new Map(); // number -> button

	/**
	 * @param {HTMLImageElement} image Loaded, so that its size in pixels is known.
	 * @param {(number: number) => void} choose Called with the number of a garment.
	 */
	constructor(image, choose) {
		this.image = image;
		this.choose = choose;
		this.element = make("div.outlines", {role: "group", "aria-label": message("garments_in_photo")});
	}

	/** @param {Garment[]} garments @param {number|null} chosen Number of the garment looked at. */
	show(garments, chosen) {
		this.chosen = chosen;
		if (this.#garments !== garments) {
			this.#garments = garments;
			this.#buttons = new Map(garments.map(garment => [garment.number, this.#button(garment)]));
			this.element.hidden = !garments.length;
			this.element.replaceChildren(...this.#buttons.values());
		}
		for (const [number, button] of this.#buttons) button.setAttribute("aria-pressed", String(number === chosen));
	}

	/** Choose the smallest garment at a point, in fractions of the sides; the next one where that is chosen already. */
	tap(x, y) {
		const {naturalWidth: width, naturalHeight: height} = this.image;
		const away = ({box: [x1, y1, x2, y2]}) =>
			Math.hypot(Math.max(x1 - x * width, x * width - x2, 0), Math.max(y1 - y * height, y * height - y2, 0));
		const reach = (REACH * width) / this.element.clientWidth;
		const near = this.#garments
			.filter(garment => away(garment) <= reach)
			.sort((one, other) => away(one) - away(other) || areaOf(one) - areaOf(other));
		const isChosen = near[0]?.number === this.chosen;
		const tapped = isChosen ? near.slice(1).find(garment => away(garment) === 0) : near[0];
		if (!tapped) return;
		this.#buttons.get(tapped.number).focus(QUIETLY);
		this.choose(tapped.number);
	}

	#button({number, kind, box}) {
		const {naturalWidth: width, naturalHeight: height} = this.image;
		const [x1, y1, x2, y2] = box;
		const button = make(
			"button.outline",
			{
				"aria-label": message("garment_of", {kind: capital(kindText(kind)), number, all: this.#garments.length}),
				// pointers choose by `tap`, which sees all outlines at a point; keys and screen readers click
				onclick: event => event.detail === 0 && number !== this.chosen && this.choose(number),
			},
			make("span.kind", {"aria-hidden": "true"}, capital(kindText(kind))),
		);
		put(button, {left: x1 / width, top: y1 / height, width: (x2 - x1) / width, height: (y2 - y1) / height});
		button.style.zIndex = String(this.#garments.filter(other => areaOf(other) >= areaOf({box})).length); // small ones on top
		return button;
	}
}

const areaOf = ({box: [x1, y1, x2, y2]}) => (x2 - x1) * (y2 - y1);
