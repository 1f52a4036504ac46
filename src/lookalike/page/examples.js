// Items to look more, or less, like, beside the query: chips with their photos.

import {photoUrl} from "./api.js";
import {byId, make, picture} from "./dom.js";
import {nameOf} from "./labels.js";
import {message} from "./settings.js";

/**
 * @param {{like: string[], unlike: string[]}} examples Ids.
 * @param {Map<string, object>} items Items received so far.
 * @param {(left: {like: string[], unlike: string[]}) => void} change Called with those that are left when one was removed.
 */
export function showExamples({like, unlike}, items, change) {
	const remove = removed => {
		const without = ids => ids.filter(id => id !== removed);
		change({like: without(like), unlike: without(unlike)});
	};
	const chip = (id, key) => {
		const name = nameOf(items.get(id) ?? {id, attributes: {}});
		const named = {"aria-label": message(`${key}_remove`, {name}), title: name, onclick: () => remove(id)};
		const photo = picture(photoUrl(id, 128), {width: "30", height: "40"});
		const mark = make("span.times", {"aria-hidden": "true"}, "×");
		return make("li", make("button.chip.example", named, make("span.small-tile", photo), message(key), mark));
	};
	const place = byId("examples");
	if (place.contains(document.activeElement)) byId("results").focus({preventScroll: true});
	place.replaceChildren(...like.map(id => chip(id, "more_like")), ...unlike.map(id => chip(id, "less_like")));
	place.hidden = !place.childElementCount;
}
