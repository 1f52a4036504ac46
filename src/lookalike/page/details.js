// Dialog with the details of an item.

import {icon, make, picture, plainClick} from "./dom.js";
import {THUMBNAIL, getItem, photoUrl, search} from "./api.js";
import {copy} from "./clipboard.js";
import {parts, priceLine, toShop} from "./results.js";
import {isNaming, labelOf, nameOf, percentText, scoreText, valueText} from "./labels.js";
import {inStock, isHidden, isSpecial, linkOf, priceOf} from "./products.js";
import {message, settings} from "./settings.js";

const PHOTO = 1024;
const NEIGHBOURS = 8;

export class Details {
	/**
	 * @param {HTMLDialogElement} dialog
	 * @param {import("./main.js").Doors & {closed: () => void, explain: (match: object, signal: AbortSignal) => Promise<any>}} doors
	 */
	constructor(dialog, doors) {
		this.dialog = dialog;
		this.doors = doors;
		dialog.addEventListener("close", () => {
			this.#stop?.abort();
			if (this.id !== null) doors.closed();
			this.id = null;
		});
		dialog.addEventListener("click", event => event.target === dialog && dialog.close());
	}

	id = null;
	#explains = false;
	#refines = false; // whether there is a query that the item can be an example for
	#stop = null;
	#variants = [];

	close() {
		this.id = null;
		if (this.dialog.open) this.dialog.close();
	}

	/**
	 * @param {string} id
	 * @param {{matches: any[], weights: object}|undefined} answer The answer in the grid, where the item may be a match, or a variant of one.
	 * @param {import("./types.js").State} state
	 */
	async show(id, answer, {item, photo, like, unlike}) {
		if (this.id === id) return;
		this.#refines = Boolean(item || photo) && id !== item;
		this.#explains = Boolean(item || photo) && !like.length && !unlike.length;
		const isOpen = one => one.id === id;
		const match = answer?.matches.find(isOpen) ?? null;
		const product = answer?.matches.find(one => isOpen(one) || one.variants?.some(isOpen));
		const variants = [product, ...(product?.variants ?? [])].filter(one => one && !isOpen(one));
		this.id = id;
		this.#variants = variants;
		this.#stop?.abort();
		this.#stop = new AbortController();
		const {signal} = this.#stop;
		this.#fill(match ?? {id, attributes: {}}, match ? parts(match, answer.weights) : null, match);
		if (!this.dialog.open) this.dialog.showModal();
		this.dialog.scrollTop = 0;
		try {
			const known = match ?? (await getItem(id, signal));
			if (this.id !== id) return;
			if (!match) this.#fill(known, null, null);
			const {matches} = await search({id, k: NEIGHBOURS, remember: "false"}, signal);
			if (this.id === id) this.#showNeighbours(matches);
		} catch (error) {
			if (!signal.aborted && this.id === id) this.#neighbours.replaceChildren(make("p.notice-text", error.message));
		}
	}

	#fill(item, score, match) {
		const {search: searchBy, hrefOf} = this.doors;
		const facts = factsOf(item);
		const shop = linkOf(item);
		const price = priceOf(item);
		const stock = inStock(item);
		const fact = (/** @type {any[]} */ [name, value]) =>
			make("div", make("dt", labelOf(name)), make("dd", valueText(value)));
		const link = new URL(hrefOf(item.id), document.baseURI).href;
		const close = {"aria-label": message("close"), onclick: () => this.dialog.close()};
		const similar = {autofocus: !shop, onclick: () => searchBy(item.id)};
		const example = (/** @type {string} */ key, /** @type {boolean} */ isLike) =>
			make("button.button.quiet", {onclick: () => this.doors.addExample(item.id, isLike)}, message(key));
		const photo = picture(photoUrl(item.id, PHOTO), {uncut: true, width: "600", height: "800", alt: nameOf(item)});
		const about = make(
			"div.details-about",
			make("h2", {id: "details-title"}, nameOf(item)),
			price && priceLine(price),
			stock !== null && make("p.stock", message(stock ? "in_stock" : "sold_out")),
			settings.scores && match && make("p.details-score", make("b", scoreText(match.score)), " ", rankText(match)),
			settings.scores && score,
			make(
				"p.actions",
				shop &&
					make(
						"a.button.main",
						{...toShop(shop), autofocus: true},
						message("view_product"),
						make("span.unseen", ` ${message("in_new_tab")}`),
					),
				make(shop ? "button.button" : "button.button.main", similar, icon("look"), message("find_similar")),
				this.#explains && match && !match.box && !match.garment && this.#explainButton(match),
				this.#refines && example("more_like_this", true),
				this.#refines && example("less_like_this", false),
				this.#copyButton(message("copy_link"), link),
				!isHidden("id") && this.#copyButton(message("copy_id"), item.id),
			),
			make("dl.facts-table", ...facts.map(fact)),
		);
		this.#neighbours = make("div.neighbours");
		this.#neighbours.append(...Array.from({length: NEIGHBOURS}, () => make("span.small-tile")));
		const like = {"aria-label": message("items_like_this")};
		const variants = make("div.neighbours", ...this.#variants.slice(0, 2 * NEIGHBOURS).map(one => this.#tile(one)));
		const others = {"aria-label": message("variants")};
		const more = make("section.details-more", like, make("h3", message("like_this")), this.#neighbours);
		this.dialog.replaceChildren(
			make("button.icon-button.close", close, icon("close")),
			make(
				"div.details-in",
				make("div.details-photo", photo),
				about,
				this.#variants.length > 0 && make("section.details-more", others, make("h3", message("variants")), variants),
				more,
			),
		);
	}

	#neighbours = null;

	#showNeighbours(matches) {
		this.#neighbours.replaceChildren(...matches.map(match => this.#tile(match)));
		if (!matches.length) this.#neighbours.append(make("p.notice-text", message("nothing_else")));
	}

	/** Small photo of an item that leads to its details. */
	#tile(item) {
		const [name, href] = [nameOf(item), this.doors.hrefOf(item.id)];
		const about = {href, "aria-label": name, title: name, onclick: plainClick(() => this.doors.details(item.id))};
		return make("a.small-tile", about, picture(photoUrl(item.id, THUMBNAIL), {width: "150", height: "200"}));
	}

	/** Button that marks where a match agrees with the query. */
	#explainButton(match) {
		return action(message("why_similar"), async button => {
			button.disabled = true;
			const seen = await this.doors.explain(match, this.#stop.signal).catch(() => null);
			const image = this.dialog.querySelector(".details-photo").querySelector("img");
			if (!button.isConnected) return;
			if (seen && image) image.after(veil(image, seen.match));
			this.doors.say((button.textContent = message(seen ? "brighter_agrees" : "no_reason")));
		});
	}

	#copyButton(label, text) {
		return action(label, async button => {
			const done = await copy(text, this.dialog);
			button.textContent = message(done ? "copied" : "not_copied");
			this.doors.say(message(done ? "copied" : "may_not_copy"));
			setTimeout(() => (button.textContent = label), 1600);
		});
	}
}

/** Names and values of what is told of an item: what the settings choose, or all. */
function factsOf({id, product, attributes}) {
	const known = new Map([["product", product], ...Object.entries(attributes), ["id", id]]);
	const {details} = settings.columns;
	const names = details.length ? details : [...known.keys()].filter(name => !isNaming(name) && !isSpecial(name));
	return names
		.map(name => [name, known.get(name)])
		.filter(([name, value]) => !isHidden(name) && valueText(value) !== "");
}

function action(label, act) {
	const button = make("button.button.quiet", {onclick: () => act(button)}, label);
	return button;
}

function rankText({rank, relevance}) {
	return relevance === undefined
		? message("rank", {rank})
		: message("rank_and_relevance", {rank, relevance: percentText(relevance)});
}

/** Veil over a photo that is thinner where it agrees. */
function veil({naturalWidth: width, naturalHeight: height}, {agreement, area: [left, top, right, bottom]}) {
	const cells = make("canvas", {width: agreement[0].length, height: agreement.length});
	const brush = cells.getContext("2d");
	agreement.forEach((row, y) =>
		row.forEach((value, x) => {
			brush.fillStyle = `rgb(0 0 0 / ${Math.max(0.75 - value / 0.6, 0)})`; // none from 0.45 on
			brush.fillRect(x, y, 1, 1);
		}),
	);
	const over = make("canvas.veil", {width, height});
	over.getContext("2d").drawImage(cells, left * width, top * height, (right - left) * width, (bottom - top) * height);
	return over;
}
