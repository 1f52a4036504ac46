// Sliders for the weights: one for two spaces, else one each.

import {make} from "./dom.js";
import {scoreText, spaceLabel} from "./labels.js";
import {message} from "./settings.js";
import {balance, fill, range, round} from "./sliders.js";

export class Weights {
	#spaces = "";
	#sliders = []; // [input, value from weights]

	/**
	 * @param {HTMLElement} place
	 * @param {(weights: Record<string, number>|null) => void} changed Called on every move; null for the server's defaults.
	 */
	constructor(place, changed) {
		this.place = place;
		this.changed = changed;
	}

	/** Show the weights in use, one for every space of the gallery. */
	show(weights, {isDefault}) {
		const spaces = Object.keys(weights);
		this.place.hidden = spaces.length < 2;
		if (!spaces.length) return;
		this.now = {...weights};
		if (this.#spaces !== spaces.join()) this.#build(spaces);
		for (const [input, read] of this.#sliders) fill(input, read(weights));
		this.reset.disabled = isDefault;
	}

	#build(spaces) {
		this.#spaces = spaces.join();
		this.#sliders = [];
		this.reset = make(
			"button.link",
			{onclick: () => (this.changed(null), this.#sliders[0][0].focus())},
			message("reset"),
		);
		this.place.replaceChildren(
			make("div.group-top", make("h2", message("what_counts")), this.reset),
			...(spaces.length === 2 ? [this.#balance(spaces)] : spaces.map(space => this.#single(space))),
		);
	}

	/** One slider from a space to the other. */
	#balance([first, second]) {
		const moved = value => this.#moved({[first]: round(1 - value), [second]: round(value)});
		const {input, element} = balance(spaceLabel(first), spaceLabel(second), moved);
		this.#sliders.push([input, weights => weights[second] / (weights[first] + weights[second])]);
		return element;
	}

	#single(space) {
		const label = spaceLabel(space);
		const moved = value => this.#moved({...this.now, [space]: round(value)});
		const input = range({label, text: scoreText, moved});
		this.#sliders.push([input, weights => Math.min(weights[space], 1)]);
		return make("div.slider.single", make("span", {"aria-hidden": "true"}, label), input);
	}

	#moved(weights) {
		if (Object.values(weights).some(weight => weight > 0)) this.changed((this.now = weights));
	}
}
