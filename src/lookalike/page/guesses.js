// Chips of what the photo probably shows. Those that are values of an attribute filter by it.

import {byId, make, refill} from "./dom.js";
import {NONE} from "./facets.js";
import {kindText, labelOf, valueText, wordText} from "./labels.js";
import {message} from "./settings.js";

const LEAST = 0.5; // probability from which a label is shown

/**
 * @param {Record<string, [string, number][]>} labels Words with probabilities, highest first, by head of the model.
 * @param {import("./types.js").Facet[]} facets
 * @param {Map<string, typeof NONE>} filters Those in use.
 * @param {(name: string, filter: typeof NONE) => void} change
 * @param {{kind: string|null, isOn: boolean, toggle: () => void}} same Kind that can be searched alone.
 */
export function showGuesses(labels, facets, filters, change, same) {
	const chips = new Map(); // by word, which can be that of two heads
	if (same.kind || same.isOn) chips.set("", sameKindChip(same));
	for (const [head, [best]] of Object.entries(labels)) {
		if (!best || best[1] < LEAST || chips.has(best[0])) continue;
		if (head === "kind" && chips.has("")) continue;
		const found = valueOf(best[0], head, facets);
		if (found || wordText(best[0])) chips.set(best[0], chip(best[0], found, filters, change));
	}
	const place = byId("guesses");
	place.hidden = !chips.size;
	const isButton = one => Number(one instanceof HTMLButtonElement);
	const sorted = [...chips.values()].sort((one, other) => isButton(other) - isButton(one)); // a phone shows the first few
	refill(place, ...sorted.map(one => make("li", one)));
	letScroll();
}

/** Let the keyboard scroll chips that are cut off, if none of them takes the focus. */
function letScroll() {
	const place = byId("guesses");
	place.tabIndex = place.scrollWidth > place.clientWidth && !place.querySelector("button") ? 0 : -1;
}
new ResizeObserver(letScroll).observe(byId("guesses"));

/** Kind that the photo or item shows, if the catalogue tells the kinds of its items; else null. */
export function kindShown({labels, garment, item, facets}) {
	if (!facets.some(({name}) => name === "garment" || name === "kind")) return null;
	if (item) return item.garments?.[0].kind ?? item.attributes.kind ?? null;
	if (garment) return garment.kind;
	const [word, probability] = labels.kind?.[0] ?? [];
	return probability >= LEAST ? word : null;
}

/** Filters without that for the kind that the photo showed. */
export function withoutKind(labels, facets, filters) {
	const word = labels.kind?.[0]?.[0];
	const found = word && valueOf(word, "kind", facets);
	if (!found || !filters.get(found.name)?.values.includes(found.value)) return filters;
	return new Map([...filters].filter(([name]) => name !== found.name));
}

function sameKindChip({kind, isOn, toggle}) {
	const text = kind ? message("only_kinds", {kinds: kindText(kind, 2)}) : message("only_its_kind");
	return make("button.chip", {"data-key": "same", "aria-pressed": String(isOn), onclick: toggle}, text);
}

function chip(word, found, filters, change) {
	if (!found) return make("span.chip", wordText(word));
	const {name, value} = found;
	const filter = filters.get(name) ?? NONE;
	const isUsed = filter.values.includes(value);
	const values = isUsed ? filter.values.filter(one => one !== value) : [...filter.values, value];
	const title = message("filter_is", {name: labelOf(name), value: String(value)});
	const onclick = () => change(name, {...filter, values});
	return make("button.chip", {"data-key": word, "aria-pressed": String(isUsed), title, onclick}, valueText(value));
}

/** Attribute and value that a word stands for; best an attribute with the name of the head. */
function valueOf(word, head, facets) {
	const found = facets.flatMap(({name, values}) =>
		values.filter(({value}) => isSame(letters(value), letters(word))).map(({value}) => ({name, value})),
	);
	return found.find(({name}) => letters(name).includes(letters(head))) ?? found[0];
}

/** `T-shirt` and `TSHIRT`, `colour` and `Color` are the same. */
const letters = text =>
	String(text)
		.toLowerCase()
		.replace(/[^\p{L}\p{N}]/gu, "")
		.replace("colour", "color");

const isSame = (one, other) =>
	one === other || [`${one}s`, `${one}es`].includes(other) || [`${other}s`, `${other}es`].includes(one);
