// <lookalike-search>: search by photo and words in a shop's own page.

import {filledTemplate, plainCard} from "./cards.js";
import {SearchError, photoTicket, search} from "./client.js";
import {make} from "./elements.js";
import {Teller} from "./events.js";
import {prepared} from "./photos.js";
import {photoUrl} from "./place.js";
import {columnsOf, productOf} from "./products.js";
import {Stage} from "./stage.js";
import {STYLE} from "./style.js";
import {filled, textsIn} from "./texts.js";

const K = 12;
const PHOTO_SIDE = 480; // pixels of the longest side of a photo
const MOST_MB = 20;
const MEGABYTE = 1_000_000;
const CAUSES = {
	unreachable: "unreachable",
	busy: "busy",
	rate: "busy",
	unreadable_photo: "unreadable",
	too_large: "unreadable",
};

/**
 * Search by photo, by words, and by an item of the gallery.
 *
 * Attributes are `endpoint`, `key`, `gallery`, `item`, `k`, `where`, `group`, `columns`, `currency`, `max-mb`, `events` and `lang`.
 * Events bubble: `lookalike-search` (detail: the query; cancelable), `lookalike-results` (the answer; when it is cancelled the
 * shop shows the matches), `lookalike-select` (the match whose card was chosen; cancelable) and `lookalike-error` (code, message).
 */
export class LookalikeSearch extends HTMLElement {
	static observedAttributes = [
		"endpoint",
		"key",
		"gallery",
		"item",
		"k",
		"where",
		"group",
		"columns",
		"currency",
		"lang",
	];

	/** @type {any} The last answer; null before the first. */
	answer = null;

	/** @type {{photo?: Blob, garment?: string, text?: string, id?: string}} */
	#query = {};
	#matches = [];
	#asked = new AbortController();
	/** @type {string|null} */ #ticket = null;
	#teller = new Teller();
	#turn = 0; // number of the latest search
	#isBuilt = false;

	connectedCallback() {
		if (!this.#isBuilt) this.#build();
		if (this.#hasQuery()) this.#stage.show(this.#query.photo ?? null); // it was moved, or taken away and put back
		if (this.getAttribute("item") && !this.#query.id) this.search({id: this.getAttribute("item")});
		else if (this.#hasQuery() && (this.#query.photo || !this.#matches.length)) this.#ask(0);
	}

	disconnectedCallback() {
		this.#asked.abort();
		this.#stage.show(null);
	}

	attributeChangedCallback(name, before, after) {
		if (!this.#isBuilt || before === after) return;
		if (name === "lang") this.#build();
		if (name === "item") this.search(after ? {id: after} : {});
		else if (this.#hasQuery()) this.search(this.#query);
	}

	/**
	 * Search; an empty query clears the results.
	 * @param {{photo?: Blob, garment?: string, text?: string, id?: string}} query A photo or the id of an item, words, or both.
	 */
	async search(query) {
		if (!this.#isBuilt) this.#build();
		const turn = ++this.#turn;
		if (query.photo && query.photo !== this.#query.photo) {
			query = {...query, photo: await prepared(query.photo)};
			if (turn !== this.#turn) return;
			const most = Number(this.getAttribute("max-mb") ?? MOST_MB);
			if (query.photo.size > most * MEGABYTE) {
				const size = this.#number(query.photo.size / MEGABYTE);
				return this.#failed("too_large", filled(this.#texts.large, {size, most: this.#number(most)}));
			}
		}
		this.#query = query;
		this.#matches = [];
		this.#stage.show(query.photo ?? null);
		this.#words.value = query.text ?? "";
		if (!this.#hasQuery()) return this.#clear();
		await this.#ask(0);
	}

	/** Leave photo, words and results. */
	clear() {
		this.search({});
	}

	#hasQuery() {
		return Boolean(this.#query.photo || this.#query.text || this.#query.id);
	}

	get #place() {
		const endpoint = this.getAttribute("endpoint") ?? new URL("..", import.meta.url).href;
		return {endpoint, gallery: this.getAttribute("gallery"), key: this.getAttribute("key")};
	}

	get #language() {
		return this.#languages[0];
	}

	get #languages() {
		const declared = this.closest("[lang]")?.getAttribute("lang")?.replaceAll("_", "-");
		try {
			return declared ? Intl.getCanonicalLocales(declared) : navigator.languages;
		} catch {
			return navigator.languages; // not a language
		}
	}

	get #texts() {
		return textsIn(this.#languages);
	}

	#number(value) {
		return new Intl.NumberFormat(this.#language, {maximumFractionDigits: 1}).format(value);
	}

	async #ask(offset) {
		const k = Number(this.getAttribute("k") ?? K);
		const query = {...this.#query, k, offset, where: this.getAttribute("where"), group: this.getAttribute("group")};
		this.#asked.abort();
		if (!this.#tell("lookalike-search", query)) return this.#say("");
		const asked = (this.#asked = new AbortController());
		this.#say(this.#texts.searching, true);
		try {
			const place = this.#place;
			const [answer, ticket] = await Promise.all([
				search(place, query, asked.signal),
				photoTicket(place, asked.signal),
			]);
			this.#ticket = ticket;
			this.answer = answer;
			this.#matches = [...this.#matches.slice(0, offset), ...answer.matches];
			const isFull = answer.matches.length === k;
			this.#say(
				this.#matches.length
					? filled(this.#matches.length === 1 ? this.#texts.found_one : this.#texts.found, {
							count: this.#number(this.#matches.length),
						})
					: this.#texts.none,
			);
			this.#stage.showGarments(answer.query.garment ?? null, answer.query.garments ?? []);
			const isOurs = this.#tell("lookalike-results", answer);
			this.#showMatches(isOurs ? offset : null, answer.matches);
			const last = this.#list.lastElementChild?.querySelector("a, button");
			if (this.#more.matches(":focus") && !isFull) /** @type {HTMLElement|null} */ (last)?.focus();
			this.#more.hidden = !isOurs || !isFull;
		} catch (error) {
			if (asked.signal.aborted) return;
			if (!(error instanceof SearchError)) throw error;
			this.#failed(
				error.code,
				this.#texts[CAUSES[error.code] ?? (error.status === 429 ? "busy" : "failed")],
				error.message,
			);
		}
	}

	#failed(code, text, message = text) {
		this.#say(text);
		this.#tell("lookalike-error", {code, message});
	}

	#clear() {
		this.#asked.abort();
		this.answer = null;
		this.#say("");
		this.#showMatches(null, []);
		this.#more.hidden = true;
	}

	/** Tell the page; false if it has taken over. */
	#tell(name, detail) {
		return this.dispatchEvent(new CustomEvent(name, {detail, bubbles: true, composed: true, cancelable: true}));
	}

	#say(text, busy = false) {
		this.#status.textContent = text;
		this.#root.classList.toggle("busy", busy);
	}

	/** Show the matches of a page behind those before it; null shows none. */
	#showMatches(offset, matches) {
		if (!offset) {
			this.#list.replaceChildren();
			for (const old of this.querySelectorAll(":scope > [slot^='result-']")) old.remove();
		}
		if (offset === null) return;
		const columns = columnsOf(this.getAttribute("columns"));
		const currency = this.getAttribute("currency");
		const known = /^[A-Z]{3}$/.test(currency ?? "") ? currency : null;
		const reading = {columns, language: this.#language, currency: known};
		/** @type {HTMLTemplateElement|null} */
		const template = this.querySelector(":scope > template[data-result]");
		for (const match of matches) {
			const shown = {place: this.#place, query_id: this.answer.query.id, id: match.id};
			const select = event => this.#select(event, match, shown);
			const product = productOf(match, reading);
			const photo = photoUrl(this.#place, match.id, PHOTO_SIDE, this.#ticket);
			const entry = make("li", {part: "result"});
			if (template) {
				const slot = `result-${match.rank}`;
				const own = make("div", {slot}, filledTemplate(template, match, product, photo));
				own.addEventListener("click", select);
				this.append(own);
				entry.append(make("slot", {name: slot}));
			} else {
				const card = plainCard(match, product, photo, this.#texts);
				card.addEventListener("click", select);
				entry.append(card);
			}
			this.#list.append(entry);
			if (this.hasAttribute("events")) this.#teller.watch(entry, shown);
		}
	}

	#select(event, match, shown) {
		if (this.hasAttribute("events")) this.#teller.choose(shown);
		if (!this.#tell("lookalike-select", match)) event.preventDefault();
	}

	#chooseGarment(garment) {
		this.#query = {...this.#query, garment};
		this.#matches = [];
		this.#ask(0);
	}

	/** @type {HTMLElement} */ #root;
	/** @type {HTMLInputElement} */ #words;
	/** @type {HTMLElement} */ #status;
	/** @type {HTMLElement} */ #list;
	/** @type {Stage} */ #stage;
	/** @type {HTMLElement} */ #more;

	#build() {
		const texts = this.#texts;
		const take = photo => photo && this.search({photo, text: this.#words.value.trim()});
		const file = properties => {
			const input = make("input", {type: "file", accept: "image/*", hidden: true, ...properties});
			input.addEventListener("change", () => (take(input.files[0]), (input.value = "")));
			return input;
		};
		const [chosen, taken] = [file({}), file({capture: "environment"})];
		const button = (text, onclick, more = {}) =>
			make("button", {type: "button", class: "button", part: "button", onclick, ...more}, text);
		this.#words = make("input", {
			type: "search",
			"aria-label": texts.ask,
			placeholder: texts.ask,
			maxlength: "256",
			part: "input",
		});
		const words = make(
			"form",
			{class: "words", role: "search"},
			this.#words,
			make("button", {class: "button first", part: "button"}, texts.search),
		);
		words.addEventListener("submit", event => {
			event.preventDefault();
			this.search({...this.#query, text: this.#words.value.trim()});
		});
		this.#status = make("p", {class: "status", role: "status", part: "status"});
		this.#list = make("ul", {class: "results", part: "results"});
		this.#stage?.show(null);
		this.#stage = new Stage(this.#languages, {
			choose: garment => this.#chooseGarment(garment),
			remove: () => {
				this.search({...this.#query, photo: undefined, garment: undefined});
				choose.focus();
			},
		});
		this.#more = button(texts.more, () => this.#ask(this.#matches.length), {class: "button more", hidden: true});
		const choose = button(texts.choose, () => chosen.click());
		const photograph = button(texts.photograph, () => taken.click(), {class: "button"});
		photograph.hidden = !matchMedia("(pointer: coarse)").matches;
		const drop = make("span", {class: "quiet small"}, texts.drop);
		drop.hidden = !photograph.hidden;
		const bar = make("div", {class: "bar", part: "bar"}, words, choose, photograph, drop, chosen, taken);
		this.#root = make(
			"div",
			{part: "root"},
			make("slot", {name: "heading"}),
			bar,
			this.#stage.element,
			this.#status,
			this.#list,
			this.#more,
		);
		this.#listenForDrops(take);
		const shadow = this.shadowRoot ?? this.attachShadow({mode: "open"});
		shadow.adoptedStyleSheets = [STYLE];
		shadow.replaceChildren(this.#root);
		this.#isBuilt = true;
	}

	#listenForDrops(take) {
		const over = isOver => this.#root.classList.toggle("over", isOver);
		this.#root.addEventListener("dragover", event => {
			if (!event.dataTransfer?.types.includes("Files")) return;
			event.preventDefault();
			over(true);
		});
		this.#root.addEventListener("dragleave", event => {
			if (!this.#root.contains(/** @type {Node|null} */ (event.relatedTarget))) over(false);
		});
		this.#root.addEventListener("drop", event => {
			if (!event.dataTransfer?.types.includes("Files")) return;
			event.preventDefault();
			over(false);
			take(imageAmong(event.dataTransfer?.files));
		});
		this.#root.addEventListener("paste", event => {
			const photo = imageAmong(event.clipboardData?.files);
			if (photo) (event.preventDefault(), take(photo));
		});
	}
}

/** The first image among files, else the first file. @returns {File|undefined} */
const imageAmong = files => [...(files ?? [])].find(({type}) => type.startsWith("image/")) ?? files?.[0];

if (!customElements.get("lookalike-search")) customElements.define("lookalike-search", LookalikeSearch);
