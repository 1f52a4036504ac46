// Recent searches on the start page, from this browser.

import {THUMBNAIL, photoUrl} from "./api.js";
import {byId, make, picture, plainClick} from "./dom.js";
import {PREFIX, here, kept, recentSearches, request} from "./kept.js";

const SHOWN = 6;

/** Show the recent searches. @param {(address: string) => void} open */
export async function showRecent(open) {
	const place = byId("recent");
	const photos = new Map();
	for (const {photo} of recentSearches()) if (photo) photos.set(photo, await kept(photo));
	const found = recentSearches() // as they are now: they may have been cleared meanwhile
		.map(search => [search, photos.get(search.photo)])
		.filter(([search, photo]) => !search.photo || photo)
		.map(([search, photo]) => tile(search, photo, open));
	byId("recent-list").replaceChildren(...found.slice(0, SHOWN).map(one => make("li", one)));
	place.hidden = !found.length;
	byId("recent-clear").onclick = async () => {
		await forget();
		place.hidden = true;
		document.querySelector("[data-choose]:not(.top *)")?.["focus"]();
	};
}

function tile({address, item, text, label}, photo, open) {
	const named = {href: address, "aria-label": label, title: label, onclick: plainClick(() => open(address))};
	if (!item && !photo) return make("a.tile.said", named, make("span", text));
	const source = photo ? URL.createObjectURL(photo.blob) : photoUrl(item, THUMBNAIL);
	const image = picture(source, {width: "300", height: "400"});
	const revoke = () => URL.revokeObjectURL(source);
	if (photo) for (const end of ["load", "error"]) image.addEventListener(end, revoke, {once: true});
	return make("a.tile", named, image, text && make("span.mark-sold", text));
}

/** Remove all stored photos and searches from this browser, also those of other galleries. */
async function forget() {
	here.clear();
	try {
		for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
	} catch {
		// without storage there are none
	}
	await request("readwrite", store => store.clear()).catch(() => {});
}
