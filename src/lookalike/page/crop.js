// Crop box on the photo: moved, resized and drawn by mouse, touch and keyboard. A tap chooses an outlined garment.

import {QUIETLY, make, put} from "./dom.js";
import {Outlines} from "./outlines.js";
import {message} from "./settings.js";

const SMALLEST = 0.06; // fraction of a side
const SMALL = 110; // pixels of a side of a box whose corners are held beside it, so that its middle can be
const STEP = 0.02;
const [DRAG, NUDGE] = [8, 2]; // pixels from which a pointer draws a box, or moves a part of it; less is a tap
const WHOLE = Object.freeze([0, 0, 1, 1]);
const CORNERS = ["nw", "ne", "sw", "se"];
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

export class Crop {
	/**
	 * Put a box on a photo.
	 * @param {HTMLImageElement} image Loaded, so that its size in pixels is known.
	 * @param {{changed: (box: number[]|null) => void, choose: (number: number) => void, say: (text: string) => void}} doors
	 *   `changed` follows the box, in pixels of the photo; null for the whole photo.
	 */
	constructor(image, {changed, choose, say}) {
		this.image = image;
		this.changed = changed;
		this.say = say;
		this.outlines = new Outlines(image, choose);
		const help = make("p.unseen", {id: "crop-help"}, message("box_keys"));
		const grip = (part, label) =>
			make("button", {
				class: `grip ${part}`,
				"data-part": part,
				"data-key": `crop-${part}`,
				"aria-label": label,
				"aria-describedby": "crop-help",
			});
		this.frame = make(
			"div.frame",
			{role: "group", "aria-label": message("box_label")},
			grip("move", message("box_move")),
			...["n", "e", "s", "w"].map(edge => make("i", {class: `edge ${edge}`, "data-part": edge})),
			...CORNERS.map(corner => grip(corner, message(`box_${corner}`))),
		);
		const listeners = {onpointerdown: event => this.#grab(event), onkeydown: event => this.#key(event)};
		this.element = make("div.crop", listeners, help, this.outlines.element, this.frame);
	}

	/** Show a part of the photo, and the garments that can be chosen, without a callback. @param {import("./types.js").Part} part */
	show({box: drawn, garments, chosen}) {
		const {naturalWidth: width, naturalHeight: height} = this.image;
		const box = drawn ?? garments.find(({number}) => number === chosen)?.box;
		this.outlines.show(garments, chosen);
		this.box = box
			? [box[0] / width, box[1] / height, Math.min(box[2] / width, 1), Math.min(box[3] / height, 1)]
			: [...WHOLE];
		this.#paint();
	}

	get isWhole() {
		return this.box.every((side, at) => Math.abs(side - WHOLE[at]) < 0.004);
	}

	#paint() {
		const [left, top, right, bottom] = this.box;
		const sides = {left, top, width: right - left, height: bottom - top};
		put(this.frame, sides);
		this.element.classList.toggle("on-whole", this.isWhole);
		const {clientWidth: across, clientHeight: down} = this.image;
		this.frame.classList.toggle("small", Math.min(sides.width * across, sides.height * down) < SMALL);
	}

	#set(box) {
		this.box = box;
		this.#paint();
		const {naturalWidth: width, naturalHeight: height} = this.image;
		this.changed(
			this.isWhole ? null : [box[0] * width, box[1] * height, box[2] * width, box[3] * height].map(Math.round),
		);
	}

	#grab(event) {
		if (event.button !== 0 || !event.isPrimary) return;
		const bounds = this.element.getBoundingClientRect();
		/** @returns {any} */
		const at = moved => [
			clamp((moved.clientX - bounds.left) / bounds.width),
			clamp((moved.clientY - bounds.top) / bounds.height),
		];
		const from = at(event);
		const held = event.target.closest("i, .grip:not(.move)")?.dataset.part ?? "move";
		const draws = held === "move" && (this.isWhole || this.outlines.chosen !== null || !this.#isInside(from));
		event.preventDefault();
		(event.target.closest(".grip") ?? this.frame.firstElementChild).focus(QUIETLY);
		/** @type {any} */
		const before = [...this.box];
		const over = new AbortController();
		let isDrag = false;
		const move = moved => {
			if (moved.pointerId !== event.pointerId) return;
			isDrag ||= Math.hypot(moved.clientX - event.clientX, moved.clientY - event.clientY) > (draws ? DRAG : NUDGE);
			if (!isDrag) return;
			const [x, y] = at(moved);
			this.#set(draws ? drawn(from, [x, y]) : shifted(before, held, x - from[0], y - from[1]));
		};
		const end = ended => {
			over.abort();
			this.element.classList.remove("held");
			if (ended.type === "pointerup" && !isDrag) this.outlines.tap(...from);
		};
		this.element.setPointerCapture(event.pointerId);
		this.element.classList.add("held");
		for (const [name, listen] of Object.entries({pointermove: move, pointerup: end, pointercancel: end}))
			this.element.addEventListener(name, listen, {signal: over.signal});
	}

	#isInside([x, y]) {
		const [left, top, right, bottom] = this.box;
		return x > left && x < right && y > top && y < bottom;
	}

	#key(event) {
		const {part} = event.target.dataset;
		if (event.key === "Escape" && !this.isWhole) {
			this.#set([...WHOLE]);
			this.say(message("whole_photo"));
		} else if (part && ARROWS[event.key]) {
			const step = STEP * (event.shiftKey ? 5 : 1);
			const [x, y] = ARROWS[event.key];
			this.#set(shifted(this.box, part, x * step, y * step));
			const [left, top, right, bottom] = this.box.map(side => Math.round(side * 100));
			this.say(message("box_place", {left, right, top, bottom}));
		} else return;
		event.preventDefault();
		event.stopPropagation();
	}
}

const clamp = (value, low = 0, high = 1) => Math.min(Math.max(value, low), high);

/** Box after one of its handles was moved. */
function shifted([left, top, right, bottom], part, x, y) {
	if (part === "move") {
		const across = clamp(x, -left, 1 - right);
		const down = clamp(y, -top, 1 - bottom);
		return [left + across, top + down, right + across, bottom + down];
	}
	return [
		part.includes("w") ? clamp(left + x, 0, right - SMALLEST) : left,
		part.includes("n") ? clamp(top + y, 0, bottom - SMALLEST) : top,
		part.includes("e") ? clamp(right + x, left + SMALLEST, 1) : right,
		part.includes("s") ? clamp(bottom + y, top + SMALLEST, 1) : bottom,
	];
}

/** Box between two corners, of at least the smallest size. */
function drawn([x1, y1], [x2, y2]) {
	const span = (a, b) => {
		const low = Math.min(a, b, 1 - SMALLEST);
		return [low, Math.max(a, b, low + SMALLEST)];
	};
	const [left, right] = span(x1, x2);
	const [top, bottom] = span(y1, y2);
	return [left, top, right, bottom];
}
