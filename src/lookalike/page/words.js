// Words: their field, suggestions from the catalogue, how they were read, and their weight beside a photo.

import {byId, icon, make, withStyle} from "./dom.js";
import {message, withTexts} from "./settings.js";

export class Words {
	#last = null; // words of the state, as the field got them
	#turn = 0; // number of the last wish to show suggestions, or none
	#slider = null; // made when words are first weighed
	#reading = null; // how the words of the answer were read

	/** @param {{search: (text: string|null) => void, weigh: (weight: number) => void}} doors `weigh` follows the slider. */
	constructor({search, weigh}) {
		this.search = search;
		this.weigh = weigh;
		this.weight = make("div", {hidden: true});
		this.label = make("label", {for: "words-field"});
		this.field = make("input", {
			type: "search",
			id: "words-field",
			maxlength: 256,
			enterkeyhint: "search",
			autocomplete: "off",
			autocapitalize: "off",
			"aria-describedby": "words-read",
			onfocus: () => this.#suggest(),
			oninput: () => {
				this.#suggest();
				if (!this.field.value && this.isBeside) search(null);
			},
		});
		const keepFocus = event => event.preventDefault();
		this.list = make("ul.suggestions", {"aria-label": message("suggestions"), hidden: true, onmousedown: keepFocus});
		this.read = make("p.hint", {id: "words-read", "aria-live": "polite"});
		const button = make("button.icon-button", {type: "submit", "aria-label": message("search_words")}, icon("look"));
		const listeners = {
			onsubmit: event => (event.preventDefault(), this.#submit(this.field.value)),
			onfocusout: event => this.form.contains(event.relatedTarget) || this.#hide(),
			onkeydown: event => {
				if (event.key !== "Escape" || this.list.hidden) return;
				event.preventDefault(); // it would empty the field
				this.field.focus();
				this.#hide();
			},
		};
		const line = make("div.words-line", this.field, button, this.list);
		this.form = make("form.words", {role: "search", ...listeners}, this.label, line, this.read, this.weight);
	}

	/** Show the field. @param {import("./types.js").State} state */
	show({item, photo, text}) {
		this.isBeside = Boolean(item || photo);
		const place = byId(this.isBeside || text ? "query-words" : "start-words");
		if (this.form.parentElement !== place) place.append(this.form);
		this.label.textContent = message(this.isBeside ? "this_but" : text ? "words_for_it" : "or_words_for_it");
		this.field.placeholder = message(this.isBeside ? "this_but_example" : "words_example");
		if (text !== this.#last) {
			this.field.value = text ?? "";
			this.#reading = null; // it comes with the answer
		}
		this.#last = text;
		if (!text) this.tell("");
		if (!text || !this.isBeside) this.weight.hidden = true;
	}

	/** Show how words were read, and their weight. @param {number|null} weight */
	async showReading(reading, weight) {
		this.#reading = reading;
		if (!reading) return;
		this.weight.hidden = !this.isBeside || !reading.searched.includes("visual");
		if (!this.weight.hidden) this.#showWeight(weight ?? 0.5); // the server's default
		const module = await withTexts(import("./readings.js")).catch(() => null); // best effort: the answer is there
		if (module && this.#reading === reading) this.tell(module.sentences(reading));
	}

	async #showWeight(weight) {
		this.shownWeight = weight;
		const module = await withStyle("adjust.css", import("./sliders.js")).catch(() => null); // words count without it too
		if (!module) return;
		if (!this.#slider) {
			const {input, element} = module.balance(message("photo"), message("words"), this.weigh);
			this.#slider = input;
			this.weight.append(element);
		}
		module.fill(this.#slider, this.shownWeight);
	}

	/** Say something about the words. */
	tell(text, isWrong = false) {
		this.field.setAttribute("aria-invalid", String(isWrong));
		this.weight.hidden ||= isWrong;
		if (this.read.textContent !== text) this.read.textContent = text; // said once
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
		const turn = ++this.#turn;
		const module = await import("./suggestions.js").catch(() => null); // without them, words are searched all the same
		const found = (await module?.suggestionsFor(this.field.value, this.isBeside)) ?? [];
		if (turn !== this.#turn) return; // more was typed, or it was searched
		this.list.hidden = !found.length || document.activeElement !== this.field;
		const chip = ([word, text]) => make("button.chip", {onclick: () => this.#submit(text)}, word);
		this.list.replaceChildren(...found.map(one => make("li", chip(one))));
	}

	#hide() {
		this.#turn++;
		this.list.hidden = true;
	}
}
