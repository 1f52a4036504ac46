// Chips of the active filters, each with a button that removes it.

import {byId, make} from "./dom.js";
import {labelOf, valueText} from "./labels.js";
import {message, numberText} from "./settings.js";

/** @param {Map<string, any>} filters */
export function showChips(filters, {change, clear}) {
	const chips = [...filters].flatMap(([name, filter]) => {
		const {values, low, high} = filter;
		const found = values.map(value => {
			const others = values.filter(one => one !== value);
			return chip(message("filter_is", {name: labelOf(name), value: valueText(value)}), () =>
				change(name, {...filter, values: others}),
			);
		});
		if (low === null && high === null) return found;
		return [...found, chip(rangeText(name, filter), () => change(name, {...filter, low: null, high: null}))];
	});
	const place = byId("chips");
	place.hidden = !chips.length;
	if (place.contains(document.activeElement)) byId("results").focus({preventScroll: true});
	place.replaceChildren(...chips.map(one => make("li", one)));
	if (chips.length > 1) {
		place.append(make("li", make("button.link", {onclick: clear}, message("clear_all"))));
	}
	byId("adjust-count").hidden = !chips.length;
	byId("adjust-count").textContent = numberText(chips.length);
}

function chip(text, remove) {
	const named = {"aria-label": message("remove_filter", {filter: text}), onclick: remove};
	return make("button.chip", {...named}, text, make("span", {"aria-hidden": "true"}, "×"));
}

function rangeText(name, {low, high}) {
	const which = low === null ? "filter_to" : high === null ? "filter_from" : "filter_between";
	return message(which, {name: labelOf(name), low: low ?? "", high: high ?? ""});
}
