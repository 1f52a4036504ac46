// The words of a search: their field, suggestions from the catalogue, how they were read, their weight beside a photo.

import {getFacets} from "./api.js";
import {byId, make} from "./dom.js";
import {isUseful} from "./filters.js";
import {balance, fill, range} from "./weights.js";

const MOST = 8; // suggestions at a time
const LONGEST = 24; // letters of a suggestion
const CHANGES = /colou?r|kind|type|category|sleeve|pattern/i; // attributes that are suggested before a letter is typed

export class Words {
	#last = null; // words of the state, as the field got them
	#values = null; // promise of the catalogue's values

	/** @param {{search: (text: string|null) => void, weigh: (weight: number) => void}} doors `weigh` follows the slider, from 0 (photo) to 1 (words). */
	constructor({search, weigh}) {
		this.search = search;
		this.form = byId("words");
		this.field = byId("words-field");
		this.list = byId("suggestions");
		this.form.addEventListener("submit", event => {
			event.preventDefault();
			this.#submit(this.field.value);
		});
		this.form.addEventListener("focusout", event => this.form.contains(event.relatedTarget) || this.#hide());
		this.form.addEventListener("keydown", event => {
			if (event.key !== "Escape" || this.list.hidden) return;
			event.preventDefault(); // it would empty the field
			this.field.focus();
			this.#hide();
		});
		this.list.addEventListener("mousedown", event => event.preventDefault()); // the field keeps the focus
		this.field.addEventListener("focus", () => this.#suggest());
		this.field.addEventListener("input", () => {
			this.#suggest();
			if (!this.field.value && this.isBeside) search(null);
		});
		const text = value => `Photo ${Math.round((1 - value) * 100)} %, words ${Math.round(value * 100)} %`;
		this.slider = range({label: "Photo or words", text, moved: () => weigh(Number(this.slider.value))});
		this.weight = balance("Photo", this.slider, "Words");
		this.form.append(this.weight);
	}

	/** Show the field. @param {import("./state.js").State} state */
	show({item, photo, text}) {
		this.isBeside = Boolean(item || photo);
		const place = byId(this.isBeside || text ? "query-words" : "start-words");
		if (this.form.parentElement !== place) place.append(this.form);
		byId("words-label").textContent = this.isBeside ? "This, but…" : `${text ? "W" : "Or say w"}hat it looks like`;
		this.field.placeholder = this.isBeside ? "but red" : "red floral dress";
		if (text !== this.#last) this.field.value = text ?? "";
		this.#last = text;
		if (!text) this.tell("");
		if (!text || !this.isBeside) this.weight.hidden = true;
	}

	/** Show how words were read, and their weight. @param {Reading|undefined} reading @param {number|null} weight */
	showReading(reading, weight) {
		if (!reading) return;
		this.tell(sentences(reading));
		this.weight.hidden = !this.isBeside || !reading.searched.includes("visual");
		fill(this.slider, weight ?? 0.5); // the server's default
	}

	/** Say something about the words. */
	tell(text, {isWrong = false} = {}) {
		this.field.setAttribute("aria-invalid", String(isWrong));
		if (byId("words-read").textContent !== text) byId("words-read").textContent = text;
	}

	#submit(text) {
		this.field.value = text;
		this.search(text.trim() || null);
		if (matchMedia("(pointer: coarse)").matches)
			this.field.blur(); // or its keyboard covers the answer
		else this.field.focus({preventScroll: true}); // the form may have moved
		this.#hide();
	}

	async #suggest() {
		this.#values ??= getFacets(null).then(
			({facets}) => valuesOf(facets),
			() => [],
		);
		const found = completions(this.field.value, await this.#values, this.isBeside);
		this.list.hidden = !found.length || document.activeElement !== this.field;
		const chip = ([word, text]) => make("button.chip", {onclick: () => this.#submit(text)}, word);
		this.list.replaceChildren(...found.map(one => make("li", chip(one))));
	}

	#hide() {
		this.list.hidden = true;
	}
}

/** Values that are words, in lower case: the most frequent of each attribute, then the next. */
function valuesOf(facets) {
	const ranked = facets
		.filter(facet => facet.kinds.join() === "text" && isUseful(facet))
		.flatMap(({name, values}) => values.map(({value}, rank) => ({name, rank, word: value.toLowerCase()})))
		.filter(({word}) => word.length < LONGEST);
	ranked.sort((one, other) => one.rank - other.rank);
	return [...new Map(ranked.reverse().map(one => [one.word, one])).values()].reverse();
}

/** Suggestions for what is typed: each word, and the text that it makes. */
function completions(text, values, isBeside) {
	const typed = text.toLowerCase();
	const part = /\S*$/.exec(typed)[0];
	const before = text.slice(0, text.length - part.length);
	const start = before.trim() || !isBeside ? before : "but ";
	const said = values.filter(({word}) => ` ${typed} `.includes(` ${word} `)).map(({name}) => name);
	const fits = ({name, word}) => !said.includes(name) && (part ? ` ${word}`.includes(` ${part}`) : CHANGES.test(name));
	const found = values.filter(fits).slice(0, MOST);
	return found.map(({word}) => [word, start + word]);
}

/**
 * @typedef {object} Reading How the server read words.
 * @property {string[]} unknown Words that the model has not learnt.
 * @property {string[]} not_found Those of them that are in no text.
 * @property {Record<string, string>} corrected Word that was searched, by misspelt word.
 * @property {string[]} searched `visual`, `full_text`, or both.
 */

/** @param {Reading} reading */
function sentences({unknown, not_found, corrected, searched}) {
	const looked = searched.includes("full_text") ? unknown.filter(word => !not_found.includes(word)) : [];
	const lost = unknown.filter(word => !looked.includes(word));
	const said = Object.entries(corrected).map(([word, read]) => `“${word}” read as “${read}”.`);
	if (looked.length) said.push(`${quoted(looked)} looked up in texts only.`);
	if (lost.length) said.push(`${quoted(lost)} not known here.`);
	if (!unknown.length && !searched.includes("visual")) said.push("Looked up in the texts of the items.");
	return said.join(" ");
}

const quoted = words => `${words.map(word => `“${word}”`).join(", ")} ${words.length > 1 ? "are" : "is"}`;
