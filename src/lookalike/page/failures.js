// Notices in place of results: for errors and for searches without matches.

import {filtersInUse} from "./state.js";

const PROBABLY = 0.5;

const notice = (title, text, actions, mark = "hanger") => ({title, text, actions, mark});

/** Notice for an ApiError, with the actions that help. */
export function failureOf({kind, code, message}, {photo, filters}, {again, other, restart, clear}) {
	switch (kind) {
		case "unreachable":
			return notice(message, "The page will go on by itself as soon as it can.", [again], "close");
		case "busy":
			return notice("Many people are searching", "The server has no room for another search just now.", [again]);
		case "gone": {
			const text = "A photo stays where it was searched with. Searches by an item can be shared.";
			return notice("This photo is not in this browser", text, [other, restart]);
		}
		case "missing":
			return notice("This item is not in the catalogue", "It may have been removed since.", [restart]);
		case "refused":
			if (photo && code.includes("photo"))
				return notice("This photo cannot be read", message, [other, restart], "photo");
			return notice("The server refused this search", message, filtersInUse(filters) ? [clear, restart] : [restart]);
		default:
			return notice("Something went wrong on the server", "It may help to try again in a moment.", [again, restart]);
	}
}

/** Notice for an answer without a good match, with what to try. */
export function noGoodMatchOf({photo}, {noGarment, garments}, {other, anyway}) {
	const title = isBare(noGarment) ? "There is probably no garment in this photo" : "No good match";
	if (!photo) return notice(title, "Nothing else here is probably of its kind.", [anyway], "look");
	const choose =
		garments.length > 1
			? "Choose another garment, draw a box around one"
			: isBare(noGarment)
				? "If there is one, draw a box around it"
				: "Draw a box around the garment";
	return notice(title, `${choose}, or take a photo nearer to it.`, [other, anyway], "look");
}

/**
 * Whether no match is probably of the kind that was asked for. Whoever filters, adds words, says what
 * counts, or points at a part of the photo, wants to see the nearest.
 * @param {import("./state.js").State} state
 */
export const isNoGood = ({anyway, weights, filters, box, garment, text}, {matches, noGarment}) =>
	!(anyway || weights || box || garment || text) &&
	!filtersInUse(filters) &&
	matches.length > 0 &&
	(isBare(noGarment) || matches.every(({relevance}) => relevance < PROBABLY));

const isBare = noGarment => noGarment > PROBABLY;

/** Notice for an answer without matches. */
export const emptyOf = ({filters, text}, {clear, restart}) =>
	filtersInUse(filters)
		? notice("Nothing passes these filters", "Remove one of them, or all.", [clear])
		: text
			? notice("Nothing has these words", "Try others, or a photo.", [restart], "look")
			: notice("There is nothing else here", "The catalogue holds no other item to compare with.", [restart]);
