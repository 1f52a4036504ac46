// What visitors do with the matches, for a server that learns.

import {Teller} from "./component/events.js";
import {byId} from "./dom.js";
import {place} from "./place.js";

const SEEN_MS = 1000; // not only passed by while a box moved

const teller = new Teller();
const known = new Map(); // matches in the grid, by id
let timer = 0;

const shownOf = ({id, query_id}) => ({place, id, query_id});

/** Tell which of the matches in the grid are seen. @param {{id: string, query_id: string}[]} matches */
export function watch(matches) {
	known.clear();
	for (const match of matches) if (match.query_id) known.set(match.id, match);
	clearTimeout(timer);
	timer = setTimeout(() => {
		for (const card of /** @type {NodeListOf<HTMLElement>} */ (byId("grid").querySelectorAll("[data-id]")))
			if (known.has(card.dataset.id)) teller.watch(card, shownOf(known.get(card.dataset.id)));
	}, SEEN_MS);
}

/** Tell what a visitor did with a match. @param {string} id @param {"click"|"like"|"less"} type */
export function tellOf(id, type) {
	if (known.has(id)) teller.choose(shownOf(known.get(id)), type);
}

byId("grid").addEventListener(
	"click",
	event => {
		const card = event.target.closest("a, button")?.closest("[data-id]");
		if (card) tellOf(card.dataset.id, "click");
	},
	{capture: true}, // before another answer is shown
);
