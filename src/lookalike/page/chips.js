// Chips of the active filters, each with a button that removes it.

import {byId, make} from "./dom.js";
import {labelOf, numberText, valueText} from "./labels.js";

/** @param {Map<string, any>} filters */
export function showChips(filters, {change, clear}) {
	const chips = [...filters].flatMap(([name, filter]) => {
		const {values, low, high} = filter;
		const found = values.map(value => {
			const others = values.filter(one => one !== value);
			return chip(`${labelOf(name)}: ${valueText(value)}`, () => change(name, {...filter, values: others}));
		});
		if (low === null && high === null) return found;
		return [...found, chip(rangeText(name, filter), () => change(name, {...filter, low: null, high: null}))];
	});
	const place = byId("chips");
	place.hidden = !chips.length;
	if (place.contains(document.activeElement)) byId("results").focus({preventScroll: true});
	place.replaceChildren(...chips.map(one => make("li", one)));
	if (chips.length > 1) {
		place.append(make("li", make("button.link", {onclick: clear}, "Clear all")));
	}
	byId("adjust-count").hidden = !chips.length;
	byId("adjust-count").textContent = String(chips.length);
}

function chip(text, remove) {
	const named = {"aria-label": `Remove the filter ${text}`, onclick: remove};
	return make("button.chip", {...named}, text, make("span", {"aria-hidden": "true"}, "×"));
}

function rangeText(name, {low, high}) {
	const label = labelOf(name);
	if (low === null) return `${label} up to ${numberText(high)}`;
	return high === null ? `${label} from ${numberText(low)}` : `${label} ${numberText(low)} to ${numberText(high)}`;
}
