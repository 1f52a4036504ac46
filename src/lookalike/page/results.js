// Grid of matches. The card of an item is reused while it is shown, and moved to its new rank.

import {icon, make, picture, plainClick} from "./dom.js";
import {THUMBNAIL, photoUrl} from "./api.js";
import {
	capital,
	contributions,
	factsLine,
	kindText,
	labelOf,
	nameOf,
	percentText,
	scoreText,
	spaceLabel,
} from "./labels.js";
import {inStock, linkOf, priceOf} from "./products.js";
import {message, numberText, settings} from "./settings.js";

const VARIANT = 128; // longest side of the photo of a variant, in pixels
const MOVE = {duration: 320, easing: "cubic-bezier(.2, .7, .2, 1)"};

const PARTS = ["photo", "text", "full_text"];

/** What comes from the photo and what from the words: names and scores. */
const ofWords = ({scores}) =>
	PARTS.filter(part => part in scores && (part !== "text" || "photo" in scores)) // words alone are the spaces' scores
		.map(part => [message(`part_${part}`), scoreText(scores[part])]);

/** Contributions of the spaces to a score, as bars and numbers. */
export function parts(match, weights) {
	const known = contributions(match, weights);
	const piece = ({part}, at) => {
		const element = make("i", {class: `space-${at % 4}`});
		element.style.width = `${Math.max(part, 0) * 100}%`;
		return element;
	};
	const row = (name, ...score) => make("div", name, make("dd", ...score));
	const space = ({space, cosine, share}, at) => {
		const name = make("dt", {class: `space-${at % 4}`}, spaceLabel(space));
		return row(name, scoreText(cosine), make("span.share", ` × ${percentText(share)}`));
	};
	const words = ofWords(match).map(([name, score]) => row(make("dt", name), score));
	return make(
		"div.parts",
		make("div.bar", {"aria-hidden": "true"}, ...known.map(piece)),
		make("dl", ...known.map(space), ...words),
	);
}

/** Price of an item; the old one too if it is on sale. @param {ReturnType<typeof priceOf>} price */
export function priceLine({now, before, currency}) {
	const label = !currency && `${labelOf(settings.columns.price)} `;
	if (!before) return make("p.price", label, now);
	const old = make("s", make("span.unseen", `${message("instead_of")} `), before);
	return make("p.price.sale", label, make("b", now), old);
}

const FEW = 2; // variants shown on a card

/** Small photos of the other variants of a product; null without any. */
function variantsOf({id, variants = [], variant_count: all = 0}, name, details) {
	if (!all) return null;
	const small = ({id, attributes}) => {
		const named = nameOf({id, attributes});
		const photo = picture(photoUrl(id, VARIANT), {width: "40", height: "52"});
		return make("button.small-tile", {"aria-label": named, title: named, onclick: () => details(id)}, photo);
	};
	const more = all - FEW;
	const others = {"aria-label": message("more_variants", {count: more}), onclick: () => details(id)};
	return make(
		"div.variants",
		{role: "group", "aria-label": message("variants_of", {name})},
		...variants.slice(0, FEW).map(small),
		more > 0 && make("button.small-tile.others", others, `+${numberText(more)}`),
	);
}

/** Link to the page where an item can be bought, in a new tab. */
export const toShop = href => ({href, target: "_blank", rel: "noopener"});

export class Results {
	#cards = new Map();

	/**
	 * @param {HTMLElement} grid
	 * @param {import("./main.js").Doors} doors
	 */
	constructor(grid, doors) {
		this.grid = grid;
		this.doors = doors;
	}

	/** Placeholders of the size of cards. */
	showWaiting(number) {
		this.#cards.clear();
		const frame = () => make("li.card.waiting", {"aria-hidden": "true"}, make("div.tile"));
		this.grid.replaceChildren(...Array.from({length: number}, frame));
	}

	show(matches, weights) {
		const before = this.#places();
		const cards = matches.map(match => {
			const card = this.#cards.get(match.id) ?? this.#card(match);
			card.update(match, weights);
			return [match.id, card];
		});
		this.#cards = new Map(cards);
		const elements = cards.map(([, card]) => card.element);
		const isSame =
			elements.length === this.grid.childElementCount && elements.every((one, at) => this.grid.children[at] === one);
		if (!isSame) this.grid.replaceChildren(...elements); // or the focus stays where it is
		this.#move(before);
	}

	clear() {
		this.#cards.clear();
		this.grid.replaceChildren();
	}

	#card(item) {
		const name = nameOf(item);
		const {search, details, hrefOf} = this.doors;
		const link = linkOf(item);
		const price = priceOf(item);
		const isGone = inStock(item) === false;
		const score = settings.scores && make("span.score");
		const spoken = make("span.unseen");
		const image = picture(photoUrl(item.id, THUMBNAIL), {width: "300", height: "400"});
		const similar = message("find_like", {name});
		const tile = make(
			"div.tile",
			image,
			!link && make("span.invite", {"aria-hidden": "true"}, icon("look"), message("find_similar")),
			isGone ? make("span.mark-sold", message("sold_out")) : price?.saved && make("span.mark-sale", price.saved),
		);
		const target = link ? toShop(link) : {href: hrefOf(item.id), onclick: plainClick(() => search(item.id))};
		const into = make(
			"a.into",
			{...target, draggable: "false"},
			make("span.unseen", link ? "" : `${similar}.`),
			tile,
			make("h3.name", {title: name}, name),
			price && priceLine(price),
			make("span.unseen", link ? ` ${message("opens_new_tab")}` : ""),
			settings.scores && spoken,
		);
		const facts = make("p.facts");
		const searchBy = {"aria-label": similar, title: message("find_similar"), onclick: () => search(item.id)};
		const button = {"aria-label": message("details_of", {name}), onclick: () => details(item.id)};
		const about = make("div.about", score, facts, make("button.icon-button", button, icon("info")));
		const element = make(
			isGone ? "li.card.gone" : "li.card",
			into,
			link && make("button.icon-button.similar", searchBy, icon("look")),
			about,
		);
		element.dataset.id = item.id;
		let shown = null;
		let variants = null; // those shown, and their element
		const showVariants = match => {
			const ids = [match.variant_count, ...(match.variants ?? []).slice(0, FEW).map(one => one.id)].join();
			if (variants?.ids === ids) return;
			variants?.element?.remove();
			variants = {ids, element: variantsOf(match, name, details)};
			if (variants.element) into.after(variants.element);
		};
		const update = (match, weights) => {
			showVariants(match);
			if (score) score.textContent = scoreText(match.score);
			facts.title = facts.textContent = [match.garment && capital(kindText(match.garment.kind)), factsLine(item)]
				.filter(Boolean)
				.join(" · ");
			const spaces = contributions(match, weights).map(({space, cosine}) => [spaceLabel(space), scoreText(cosine)]);
			if (score) score.title = message(spaces.length ? "score_of_spaces" : "score_of_words");
			const said = [...spaces, ...ofWords(match)].map(one => one.join(" ").toLowerCase());
			spoken.textContent = ` ${message("score_spoken", {score: scoreText(match.score), parts: said.join(", ")})}`;
			const next = parts(match, weights);
			next.setAttribute("aria-hidden", "true");
			if (!settings.scores) return;
			shown ? shown.replaceWith(next) : tile.append(next);
			shown = next;
		};
		return {element, update};
	}

	#places() {
		const places = new Map();
		for (const [id, {element}] of this.#cards) {
			const place = element.getBoundingClientRect();
			if (place.bottom > -200 && place.top < innerHeight + 200) places.set(id, place);
		}
		return places;
	}

	#move(before) {
		if (!before.size || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
		for (const [id, {element}] of this.#cards) {
			const from = before.get(id);
			const to = element.getBoundingClientRect();
			if (!from) {
				if (to.top < innerHeight) element.animate({opacity: [0, 1]}, MOVE);
				continue;
			}
			const [x, y] = [from.left - to.left, from.top - to.top];
			if (x || y) element.animate({transform: [`translate(${x}px, ${y}px)`, "none"]}, MOVE);
		}
	}
}
