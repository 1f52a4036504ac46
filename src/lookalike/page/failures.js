// Notices in place of results: for errors and for searches without matches.

import {place} from "./place.js";
import {language, message} from "./settings.js";
import {isBare} from "./answers.js";
import {filtersInUse} from "./state.js";

const notice = (title, text, actions, mark = "hanger") => ({title, text, actions, mark});

/** Notice for an ApiError, with the actions that help. */
export function failureOf({kind, code, message: said, wait}, {photo, filters}, {again, other, restart, clear}) {
	const of = (name, actions, mark) => notice(message(name), message(`${name}_text`), actions, mark);
	const reason = name => (language === "en" ? said : message(name)); // the server speaks English
	switch (kind) {
		case "unreachable":
			return notice(said, message("will_go_on"), [again], "close");
		case "slow":
			return notice(said, message("connection_slow_text"), [again], "close");
		case "busy":
			if (code === "rate_limited")
				return notice(message("key_too_often"), message("key_too_often_text", {count: wait}), [again]);
			return of("busy", [again]);
		case "gallery":
			return notice(message("no_such_gallery", {name: place.gallery}), message("no_such_gallery_text"), [
				[message("start_again"), () => location.assign(location.pathname)],
			]);
		case "gone":
			return of("photo_elsewhere", [other, restart]);
		case "missing":
			return of("item_missing", [restart]);
		case "refused":
			if (photo && code.includes("photo"))
				return notice(message("photo_unreadable"), reason("photo_unreadable_text"), [other, restart], "photo");
			return notice(
				message("search_refused"),
				reason("search_refused_text"),
				filtersInUse(filters) ? [clear, restart] : [restart],
			);
		default:
			return of("server_failed", [again, restart]);
	}
}

/** Notice for an answer without a good match, with what to try. */
export function noGoodMatchOf({photo}, {noGarment, garments}, {other, anyway}) {
	const title = message(isBare(noGarment) ? "no_garment" : "no_good_match");
	if (!photo) return notice(title, message("none_of_its_kind"), [anyway], "look");
	const advice = garments.length > 1 ? "choose_another_garment" : isBare(noGarment) ? "box_if_any" : "box_the_garment";
	return notice(title, message(advice), [other, anyway], "look");
}

/** Notice for an answer without matches. */
export const emptyOf = ({filters, text}, {clear, restart}) =>
	filtersInUse(filters)
		? notice(message("none_passes"), message("none_passes_text"), [clear])
		: text
			? notice(message("no_such_words"), message("no_such_words_text"), [restart], "look")
			: notice(message("nothing_here"), message("nothing_here_text"), [restart]);
