// Start page: a few items of the catalogue to search by.

import {THUMBNAIL, getItems, photoUrl} from "./api.js";
import {byId, make, picture, plainClick} from "./dom.js";
import {nameOf} from "./labels.js";
import {message} from "./settings.js";

const ITEMS = 12;

/** Show the items, once. @param {import("./main.js").Doors} doors */
export async function showBeginnings({search, hrefOf}) {
	const list = byId("begin-list");
	if (list.childElementCount) return;
	const {total} = await getItems(0, 0);
	// Steps of the golden ratio: far apart from each other, however the catalogue is ordered.
	const places = new Set(Array.from({length: ITEMS}, (_, at) => Math.floor(((at * 0.618034) % 1) * total)));
	const pages = await Promise.all([...places].map(place => getItems(place, 1)));
	if (list.childElementCount) return;
	const tile = item => {
		const label = message("find_like", {name: nameOf(item)});
		const act = plainClick(() => search(item.id));
		const photo = picture(photoUrl(item.id, THUMBNAIL), {width: "300", height: "400"});
		return make("a.tile", {href: hrefOf(item.id), "aria-label": label, onclick: act}, photo);
	};
	list.replaceChildren(...pages.flatMap(page => page.items).map(item => make("li", tile(item))));
	byId("begin-title").textContent = total ? message("begin_with", {count: total}) : message("nothing_indexed");
	byId("begin").hidden = false;
}
