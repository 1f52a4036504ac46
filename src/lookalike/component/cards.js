// Cards of matches: those of the component, or copies of the shop's own template.

import {make} from "./elements.js";
import {filled} from "./texts.js";

/**
 * A card in the component's own form.
 * @param {any} match
 * @param {ReturnType<typeof import("./products.js").productOf>} product
 * @param {string} photo Address of its photo.
 * @param {import("./texts.js").Texts} texts
 */
export function plainCard(match, product, photo, texts) {
	const variants = match.variant_count ?? 0;
	return make(
		product.link ? "a" : "button",
		{part: "card", class: "card", ...(product.link ? {href: product.link} : {type: "button"})},
		make("span", {part: "photo", class: "photo"}, imageOf(photo)),
		make("span", {part: "title", class: "title"}, product.title),
		product.price && make("span", {part: "price", class: "price"}, product.price),
		product.before && make("s", {part: "before", class: "before"}, product.before),
		product.sold && make("span", {part: "sold", class: "quiet"}, texts.sold),
		variants > 0 && make("span", {part: "variants", class: "quiet"}, filled(texts.variants, {count: variants + 1})),
	);
}

/**
 * A copy of a template, filled: `data-field="title"` (or `price`, `before`, or any attribute) gets the text, `a[data-link]` the
 * address, `img[data-photo]` the photo.
 * @param {HTMLTemplateElement} template
 * @param {any} match
 * @param {ReturnType<typeof import("./products.js").productOf>} product
 * @param {string} photo Address of its photo.
 */
export function filledTemplate(template, match, product, photo) {
	const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
	const known = {...match.attributes, id: match.id, score: match.score, ...product};
	for (const element of copy.querySelectorAll("[data-field]")) {
		const value = known[/** @type {HTMLElement} */ (element).dataset.field];
		element.textContent = value === null || value === undefined ? "" : String(value);
	}
	for (const link of copy.querySelectorAll("a[data-link]")) if (product.link) link.setAttribute("href", product.link);
	for (const image of copy.querySelectorAll("img[data-photo]")) {
		image.setAttribute("src", photo);
		if (!image.hasAttribute("alt")) image.setAttribute("alt", product.title);
	}
	return copy;
}

function imageOf(photo) {
	const image = make("img", {alt: "", loading: "lazy", decoding: "async", width: "300", height: "400"});
	image.addEventListener("error", () => image.remove());
	image.setAttribute("src", photo);
	return image;
}
