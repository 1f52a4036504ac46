// Suggestions of words, from the catalogue.

import {ApiError, getFacets} from "./api.js";
import {isUseful} from "./facets.js";
import {language} from "./settings.js";

const MOST = 8; // suggestions at a time
const CHANGES = /colou?r|kind|type|category|sleeve|pattern/i; // attributes that are suggested before a letter is typed

let values = null; // promise of the catalogue's values

/** Suggestions for what is typed: each word, and the text that it makes. @returns {Promise<[string, string][]>} */
export async function suggestionsFor(text, isBeside) {
	values ??= getFacets(null).then(({facets}) => valuesOf(facets));
	try {
		return completions(text, await values, isBeside);
	} catch (error) {
		if (!(error instanceof ApiError)) throw error;
		values = null; // the next letter asks again
		return [];
	}
}

/** Values that are words, in lower case: the most frequent of each attribute, then the next. */
function valuesOf(facets) {
	const ranked = facets
		.filter(facet => facet.kinds.join() === "text" && isUseful(facet))
		.flatMap(({name, values}) => values.map(({value}, rank) => ({name, rank, word: value.toLowerCase()})));
	ranked.sort((one, other) => one.rank - other.rank);
	return [...new Map(ranked.reverse().map(one => [one.word, one])).values()].reverse();
}

/** Suggestions for what is typed: each word, and the text that it makes. */
function completions(text, values, isBeside) {
	const typed = text.toLowerCase();
	const part = /\S*$/.exec(typed)[0];
	const before = text.slice(0, text.length - part.length);
	const start = before.trim() || !isBeside || language !== "en" ? before : "but "; // as the server reads it
	const said = values.filter(({word}) => ` ${typed} `.includes(` ${word} `)).map(({name}) => name);
	const fits = ({name, word}) => !said.includes(name) && (part ? ` ${word}`.includes(` ${part}`) : CHANGES.test(name));
	const found = values.filter(fits).slice(0, MOST);
	return found.map(({word}) => [word, start + word]);
}
