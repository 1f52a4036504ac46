// Grid of matches. The card of an item is reused while it is shown, and moved to its new rank.

import {icon, make, picture, plainClick} from "./dom.js";
import {THUMBNAIL, photoUrl} from "./api.js";
import {contributions, factsLine, nameOf, scoreText, spaceLabel} from "./labels.js";

const MOVE = {duration: 320, easing: "cubic-bezier(.2, .7, .2, 1)"};

/** Contributions of the spaces to a score, as bars and numbers. */
export function parts(match, weights) {
	const known = contributions(match, weights);
	return make(
		"div",
		{class: "parts"},
		make(
			"div",
			{class: "bar", "aria-hidden": "true"},
			...known.map(({part}, at) => {
				const piece = make("i", {class: `space-${at % 4}`});
				piece.style.width = `${Math.max(part, 0) * 100}%`;
				return piece;
			}),
		),
		make(
			"dl",
			{},
			...known.map(({space, cosine, share}, at) =>
				make(
					"div",
					{},
					make("dt", {class: `space-${at % 4}`}, spaceLabel(space)),
					make("dd", {}, scoreText(cosine), make("span", {class: "share"}, ` × ${Math.round(share * 100)} %`)),
				),
			),
		),
	);
}

export class Results {
	#cards = new Map();

	/**
	 * @param {HTMLElement} grid
	 * @param {{search: (id: string) => void, details: (id: string) => void, hrefOf: (id: string) => string}} doors
	 */
	constructor(grid, doors) {
		this.grid = grid;
		this.doors = doors;
	}

	/** Placeholders of the size of cards. */
	showWaiting(number) {
		this.#cards.clear();
		const frame = () =>
			make(
				"li",
				{class: "card waiting", "aria-hidden": "true"},
				make("div", {class: "tile"}),
				make("div", {class: "about"}),
			);
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
		this.grid.replaceChildren(...cards.map(([, card]) => card.element));
		this.#move(before);
	}

	clear() {
		this.#cards.clear();
		this.grid.replaceChildren();
	}

	#card(item) {
		const name = nameOf(item);
		const {search, details, hrefOf} = this.doors;
		const score = make("span", {class: "score"});
		const spoken = make("span", {class: "unseen"});
		const image = picture(photoUrl(item.id, THUMBNAIL), {width: "300", height: "400"});
		const tile = make(
			"a",
			{
				class: "tile",
				href: hrefOf(item.id),
				draggable: "false",
				onclick: plainClick(() => search(item.id)),
			},
			image,
			make("span", {class: "unseen"}, `Find what looks like ${name}.`),
			spoken,
			make("span", {class: "invite", "aria-hidden": "true"}, icon("look"), "Find similar"),
		);
		const facts = factsLine(item);
		const element = make(
			"li",
			{class: "card"},
			tile,
			make(
				"div",
				{class: "about"},
				make("div", {class: "first"}, make("h3", {class: "name", title: name}, name), score),
				make(
					"div",
					{class: "second"},
					make("p", {class: "facts", title: facts}, facts),
					make(
						"button",
						{
							class: "icon-button",
							"aria-label": `Details of ${name}`,
							onclick: () => details(item.id),
						},
						icon("info"),
					),
				),
			),
		);
		element.dataset.id = item.id;
		let shown = null;
		const update = (match, weights) => {
			score.textContent = scoreText(match.score);
			score.title = "Score: the weighted mean of the spaces' cosines";
			const words = contributions(match, weights).map(
				({space, cosine}) => `${spaceLabel(space).toLowerCase()} ${scoreText(cosine)}`,
			);
			spoken.textContent = ` Score ${scoreText(match.score)}: ${words.join(", ")}.`;
			const next = parts(match, weights);
			next.setAttribute("aria-hidden", "true");
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
