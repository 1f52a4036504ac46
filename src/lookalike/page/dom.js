// DOM helpers. Elements are never made from HTML strings: texts of a catalogue stay text.

import {message} from "./settings.js";

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K|`${K}.${string}`} tag Tag with its classes: `button.chip`.
 * @param {...any} parts Properties (`on…` listeners, attributes), if there are any, then children; strings become text. What is
 *   null, undefined or false is left out. Buttons submit nothing.
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, ...parts) {
	const [name, ...classes] = tag.split(".");
	const element = /** @type {HTMLElementTagNameMap[K]} */ (document.createElement(name));
	if (classes.length) element.className = classes.join(" ");
	if (element instanceof HTMLButtonElement) element.type = "button";
	const isThere = part => part !== null && part !== undefined && part !== false;
	const properties = parts[0]?.constructor === Object ? parts.shift() : {};
	for (const [property, value] of Object.entries(properties).filter(one => isThere(one[1]))) {
		if (property.startsWith("on")) element.addEventListener(property.slice(2), value);
		else element.setAttribute(property, value === true ? "" : String(value));
	}
	element.append(...parts.filter(isThere));
	return element;
}

export function icon(name) {
	const space = "http://www.w3.org/2000/svg";
	const svg = document.createElementNS(space, "svg");
	svg.setAttribute("aria-hidden", "true");
	const use = document.createElementNS(space, "use");
	use.setAttribute("href", `#icon-${name}`);
	svg.append(use);
	return svg;
}

export function put(element, sides) {
	for (const [side, value] of Object.entries(sides)) element.style[side] = `${value * 100}%`;
}

const styles = new Map();

/** Load a style sheet with a part of the page. @template T @param {string} sheet @param {Promise<T>} part @returns {Promise<T>} */
export async function withStyle(sheet, part) {
	if (!styles.has(sheet)) {
		const link = make("link", {rel: "stylesheet", href: sheet});
		const come = (resolve, reject) => {
			link.onload = resolve;
			link.onerror = () => (link.remove(), styles.delete(sheet), reject(new Error(sheet)));
		};
		styles.set(sheet, new Promise(come));
		document.head.append(link);
	}
	return (await Promise.all([part, styles.get(sheet)]))[0];
}

export const QUIETLY = {preventScroll: true, focusVisible: false};

/** Element with an id. @returns {any} */
export const byId = id => document.getElementById(id);

/** Image that is replaced by a drawing if it cannot be loaded, and cropped to its frame only if little is lost, or never. @param {any} [options] */
export function picture(source, options = {}) {
	const {uncut = false, ...properties} = options;
	const image = make("img", {alt: "", decoding: "async", draggable: "false", ...properties});
	image.addEventListener("load", () => {
		const shape = image.naturalWidth / image.naturalHeight;
		const whole = uncut || shape < 0.58 || shape > 0.9;
		image.classList.toggle("whole", whole);
		if (whole) image.style.backgroundColor = cornerColor(image);
		image.classList.add("there");
	});
	image.addEventListener("error", () => {
		if (image.parentNode) image.replaceWith(make("span.missing", icon("hanger"), message("no_photo")));
	});
	image.src = source;
	return image;
}

/** Colour of the corners of a photo, for the space around it; empty if they differ. */
function cornerColor(image) {
	const canvas = make("canvas", {width: 2, height: 2});
	const brush = canvas.getContext("2d");
	for (const x of [0, 1])
		for (const y of [0, 1]) {
			brush.drawImage(image, x * (image.naturalWidth - 1), y * (image.naturalHeight - 1), 1, 1, x, y, 1, 1);
		}
	const {data} = brush.getImageData(0, 0, 2, 2);
	const uniform = data.every((value, at) => Math.abs(value - data[at % 4]) < 12);
	return uniform ? `rgb(${data[0]} ${data[1]} ${data[2]})` : "";
}

/** Click handler for links: acts on plain clicks, and leaves others to the browser. */
export const plainClick = act => event => {
	if (event.metaKey || event.ctrlKey || event.shiftKey) return;
	event.preventDefault();
	act();
};

/** Replace the children of an element, and restore the focus by `data-key`. */
export function refill(element, ...children) {
	const active = /** @type {HTMLElement} */ (document.activeElement);
	const focused = element.contains(active) ? active.dataset.key : undefined;
	element.replaceChildren(...children.filter(Boolean));
	if (focused) element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
}
