// Filters made from the facets: check boxes for values, two ends for numbers.

import {make, refill} from "./dom.js";
import {NONE, isNumbers, isUseful} from "./facets.js";
import {labelOf, valueText} from "./labels.js";
import {message, numberText, settings} from "./settings.js";

const FEW = 7; // values shown before "Show all"
const MANY = 14; // values from which they can be searched
const OPEN_AT_FIRST = 3;
const {filters: CHOSEN} = settings.columns;

export class Filters {
	#groups = new Map();
	#order = [...CHOSEN]; // names in the order of first appearance, so that nothing moves under the pointer

	/**
	 * @param {HTMLElement} place
	 * @param {(name: string, filter: typeof NONE, done: boolean) => void} changed
	 */
	constructor(place, changed) {
		this.place = place;
		this.changed = changed;
	}

	/** @param {import("./types.js").Facet[]} facets @param {Map<string, typeof NONE>} filters Those in use. */
	show(facets, filters) {
		const useful = facets.filter(facet => filters.has(facet.name) || this.#groups.has(keyOf(facet)) || isUseful(facet));
		for (const {name} of facets) if (!this.#order.includes(name)) this.#order.push(name);
		useful.sort((one, other) => this.#order.indexOf(one.name) - this.#order.indexOf(other.name));
		const groups = useful.map((facet, at) => {
			const key = keyOf(facet);
			if (!this.#groups.has(key)) {
				const group = isNumbers(facet)
					? new RangeGroup(facet.name, this.changed)
					: new ValuesGroup(facet.name, this.changed);
				group.element.open = at < OPEN_AT_FIRST;
				this.#groups.set(key, group);
			}
			const group = this.#groups.get(key);
			group.show(facet, filters.get(facet.name) ?? NONE);
			return group.element;
		});
		this.place.hidden = !groups.length;
		const heading = this.place.firstElementChild ?? make("h2.group-top", message("filters"));
		const wanted = [heading, ...groups];
		for (const element of [...this.place.children]) if (!wanted.includes(element)) element.remove();
		wanted.forEach((element, at) => {
			// present elements stay, and keep their focus and drags
			if (this.place.children[at] !== element) this.place.insertBefore(element, this.place.children[at] ?? null);
		});
	}
}

const keyOf = facet => `${isNumbers(facet) ? "range" : "values"}.${facet.name}`;

const folded = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();

class Group {
	constructor(name, changed) {
		this.name = name;
		this.changed = changed;
		this.used = make("span.used");
		this.inside = make("div.group-inside", {role: "group", "aria-label": labelOf(name)});
		this.element = make("details.group", make("summary", make("span", labelOf(name)), this.used), this.inside);
	}
}

class ValuesGroup extends Group {
	/** @type {HTMLInputElement|null} Field that looks for values, if there are many. */
	searching = null;

	show(facet, filter) {
		this.facet = facet;
		this.filter = filter;
		this.used.textContent = filter.values.length ? numberText(filter.values.length) : "";
		const missing = filter.values.filter(value => facet.values.every(known => known.value !== value));
		const known = [...facet.values, ...missing.map(value => ({value, count: 0}))];
		const wanted = folded(this.searching?.value ?? "");
		const shown = wanted
			? known.filter(({value}) => folded(valueText(value)).includes(wanted))
			: this.all
				? known
				: known.filter(({value}, at) => at < FEW || filter.values.includes(value));
		if (known.length >= MANY) this.searching ??= this.#searchField();
		refill(
			this.inside,
			this.searching,
			make("ul.values", ...shown.map(one => this.#value(one))),
			wanted && !shown.length && make("p.hint", message("no_such_value")),
			!wanted &&
				known.length > FEW + 1 &&
				make(
					"button.link",
					{
						"data-key": `all.${this.name}`,
						"aria-expanded": String(Boolean(this.all)),
						onclick: () => {
							this.all = !this.all;
							this.show(this.facet, this.filter);
						},
					},
					this.all ? message("show_fewer") : message("show_all", {count: known.length}),
				),
		);
	}

	#searchField() {
		const label = message("search_values", {name: labelOf(this.name)});
		const oninput = () => this.show(this.facet, this.filter);
		const key = `search.${this.name}`;
		return make("input.value-search", {
			type: "search",
			"aria-label": label,
			placeholder: label,
			"data-key": key,
			oninput,
		});
	}

	#value({value, count}) {
		const box = make("input", {type: "checkbox", "data-key": `value.${this.name}.${value}`});
		box.checked = this.filter.values.includes(value);
		box.addEventListener("change", () => {
			const others = this.filter.values.filter(one => one !== value);
			this.show(this.facet, {...NONE, values: box.checked ? [...others, value] : others}); // the next click may come before the answer
			this.changed(this.name, this.filter, true);
		});
		const label = make("label", box, make("span.value", valueText(value)), make("span.times", numberText(count)));
		return make(count ? "li" : "li.none", label);
	}
}

class RangeGroup extends Group {
	constructor(name, changed) {
		super(name, changed);
		const end = which => {
			const input = make("input", {
				type: "range",
				"aria-label": message(which === "low" ? "lowest" : "highest", {name: labelOf(name)}),
			});
			input.addEventListener("input", () => this.#moved(which, false));
			input.addEventListener("change", () => this.#moved(which, true));
			return input;
		};
		this.low = end("low");
		this.high = end("high");
		this.track = make("div.two-ends", this.low, this.high);
		this.text = make("p.range-text", {"aria-hidden": "true"});
		this.inside.append(this.track, this.text);
	}

	show(facet, filter) {
		if (!facet.range) return;
		const [least, largest] = facet.range;
		const step = niceStep(largest - least);
		const [from, to] = [Math.floor(least / step) * step, Math.ceil(largest / step) * step];
		for (const input of [this.low, this.high]) {
			for (const [side, value] of Object.entries({min: from, max: to, step}))
				input[side] = String(Number(value.toPrecision(9)));
		}
		this.low.value = String(filter.low ?? from);
		this.high.value = String(filter.high ?? to);
		this.used.textContent = filter.low !== null || filter.high !== null ? numberText(1) : "";
		this.#paint();
	}

	#moved(which, done) {
		// The ends push each other and never cross.
		if (Number(this.low.value) > Number(this.high.value))
			this[which === "low" ? "high" : "low"].value = this[which].value;
		const value = (input, end) => (input.value === end ? null : Number(input.value));
		const [low, high] = [value(this.low, this.low.min), value(this.high, this.high.max)];
		this.#paint();
		this.changed(this.name, {values: [], low, high}, done);
	}

	#paint() {
		const [from, to] = [Number(this.low.min), Number(this.low.max)];
		for (const [side, input] of Object.entries({"--from": this.low, "--to": this.high})) {
			this.track.style.setProperty(side, `${((Number(input.value) - from) / (to - from || 1)) * 100}%`);
			input.setAttribute("aria-valuetext", numberText(Number(input.value)));
		}
		// With both at the right end, the lower one must stay reachable.
		this.low.classList.toggle("above", Number(this.low.value) > (from + to) / 2);
		this.text.textContent = message("between", {low: Number(this.low.value), high: Number(this.high.value)});
	}
}

/** 1, 2 or 5 times a power of ten: about a hundredth of a span. */
function niceStep(span) {
	const size = 10 ** Math.floor(Math.log10(span / 100));
	return span > 0 ? [1, 2, 5, 10].map(times => times * size).find(step => span / step <= 100) : 1;
}
