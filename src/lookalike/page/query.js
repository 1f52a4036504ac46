// The query: a photo with its box, or an item.

import {byId, make, picture} from "./dom.js";
import {photoUrl} from "./api.js";
import {Crop} from "./crop.js";
import {factsLine, kindText, nameOf} from "./labels.js";
import {message, settings, withTexts} from "./settings.js";

const PHOTO = 640;

export class QueryPanel {
	#shown = null; // what the panel shows, so that it is built only once for each query
	#crop = null;
	#url = null;

	/** @param {import("./main.js").Doors} doors */
	constructor(doors) {
		this.doors = doors;
		this.stage = byId("stage");
		this.about = byId("query-about");
	}

	/** Show a photo and the part of it that is looked at. @param {{name: string, blob: Blob, label: string}} photo @param {import("./types.js").Part} part */
	showPhoto(photo, part) {
		if (this.#shown === `photo ${photo.name}`) {
			const found = this.part.garments.length ? 0 : part.garments.length;
			this.#crop?.show(part);
			this.#sayPart(part);
			if (found) this.doors.say(`${message("garments_found", {count: found})} ${this.hint.textContent}`);
			return;
		}
		this.#begin(`photo ${photo.name}`);
		this.#url = URL.createObjectURL(photo.blob);
		const image = make("img", {alt: message("your_photo"), draggable: "false"});
		const fit = this.#fit(image);
		const shown = this.#shown;
		image.addEventListener("load", () => {
			if (this.#shown !== shown) return;
			this.#frame(fit, image.naturalWidth / image.naturalHeight);
			this.#crop = new Crop(image, {
				changed: box => {
					this.#sayPart({...this.part, box, chosen: null});
					this.doors.boxed(box);
				},
				choose: this.doors.choose,
				say: this.doors.say,
			});
			this.#crop.show(this.part);
			this.#sayPart(this.part);
			fit.append(this.#crop.element);
		});
		image.addEventListener("error", () => this.#shown === shown && this.#showText(message("cannot_show")));
		image.src = this.#url;
		this.whole = make(
			"button.link",
			{
				"data-key": "whole",
				onclick: () => {
					this.doors.boxed(null);
					this.doors.say(message("whole_photo"));
					this.#crop?.frame.firstElementChild.focus({preventScroll: true});
				},
			},
			message("whole_photo"),
		);
		const about = [
			make("p.query-name", photo.label || message("your_photo")),
			this.whole,
			settings.sharing_hours && this.#shareButton(photo.blob),
			(this.hint = make("p.hint")),
		].filter(Boolean);
		this.about.replaceChildren(...about);
		this.#sayPart(part);
	}

	#shareButton(blob) {
		const button = make("button.link", {"data-key": "share"}, message("share"));
		button.addEventListener("click", async () => {
			button.disabled = true;
			const module = await withTexts(import("./share.js")).catch(() => null);
			this.doors.tell(module ? await module.share(blob) : message("not_shared"));
			button.disabled = false;
		});
		return button;
	}

	/** Show an item; its details may be loaded later. */
	showItem(id, item) {
		if (this.#shown !== `item ${id}`) {
			this.#begin(`item ${id}`);
			const image = picture(photoUrl(id, PHOTO), {uncut: true, alt: item ? nameOf(item) : ""});
			image.addEventListener("load", () => {
				this.#frame(image.parentElement, image.naturalWidth / image.naturalHeight);
				if (image.isConnected) this.stage.style.background = image.style.backgroundColor; // fills the space around the photo
			});
			this.#frame(this.#fit(image), 3 / 4);
		}
		const known = item ?? {id, attributes: {}};
		const image = this.stage.querySelector("img");
		if (image) image.alt = nameOf(known);
		this.about.replaceChildren(
			make("p.query-name", nameOf(known)),
			make("p.hint", factsLine(known, 4)),
			make(
				"p.query-actions",
				make("button.link", {onclick: () => this.doors.lookAtPart(id)}, message("look_at_part")),
				make("button.link", {onclick: () => this.doors.details(id)}, message("details")),
			),
		);
	}

	/** Show that there are words alone. */
	showWords() {
		this.#begin(null);
		this.about.replaceChildren();
		this.stage.hidden = true;
	}

	/** Show a query whose photo or item is missing. */
	showNothing(text) {
		this.#begin(null);
		this.#showText(text);
		this.about.replaceChildren();
	}

	#showText(text) {
		this.stage.parentElement.classList.add("none");
		this.stage.replaceChildren(make("p.stage-text", text));
	}

	#begin(shown) {
		this.stage.parentElement.classList.toggle("item", shown?.startsWith("item ") ?? false);
		this.stage.parentElement.classList.remove("none");
		this.stage.hidden = false;
		this.stage.style.background = "";
		this.#shown = shown;
		this.#crop = null;
		if (this.#url) URL.revokeObjectURL(this.#url);
		this.#url = null;
	}

	#fit(image) {
		const fit = make("div.fit", image);
		this.stage.replaceChildren(fit);
		return fit;
	}

	#frame(fit, ratio) {
		if (Number.isFinite(ratio)) fit?.style.setProperty("--ratio", String(ratio));
	}

	#sayPart(part) {
		this.part = part;
		const {box, garments, chosen} = part;
		const garment = garments.find(({number}) => number === chosen);
		this.whole.hidden = !box && !garment;
		this.hint.textContent = box
			? message("only_the_box")
			: [
					garment && message("only_the_kind", {kind: kindText(garment.kind)}),
					this.#crop && otherParts(garments, garment),
				]
					.filter(Boolean)
					.join(" ");
	}
}

/** What to do to look at another part. */
function otherParts(garments, garment) {
	const isTouch = matchMedia("(pointer: coarse)").matches;
	const tap = isTouch ? "tap" : "click";
	if (garment) return garments.length > 1 && message(`${tap}_another`);
	if (garments.length) return message(`${tap}_a_garment`);
	return message("drag_over_part");
}
