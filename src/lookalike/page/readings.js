// How the words of a search were read.

import {language, message} from "./settings.js";

/** What is said of `text_read` of an answer. */
export function sentences({unknown, not_found, corrected, searched}) {
	const looked = searched.includes("full_text") ? unknown.filter(word => !not_found.includes(word)) : [];
	const lost = unknown.filter(word => !looked.includes(word));
	const said = Object.entries(corrected).map(([word, read]) => message("read_as", {word, read}));
	const about = (key, words) =>
		words.length && said.push(message(key, {count: words.length, words: quoted.format(words.map(quote))}));
	about("words_in_texts_only", looked);
	about("words_unknown", lost);
	if (!unknown.length && !searched.includes("visual")) said.push(message("looked_in_texts"));
	return said.join(" ");
}

const quoted = new Intl.ListFormat(language, {type: "unit"});
const quote = word => message("quoted", {word});
