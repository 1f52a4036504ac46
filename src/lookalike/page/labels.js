// Texts for items, spaces and numbers.

import {isHidden, isSpecial} from "./products.js";
import {hasMessage, language, message, numberText, settings} from "./settings.js";

const {columns, labels} = settings;
const NAMING = ["title", "name", "productdisplayname"];

export const isNaming = attribute =>
	columns.title ? attribute === columns.title : NAMING.includes(attribute.toLowerCase());

/** Display name of an item: its title, else its product or id. */
export function nameOf(item) {
	for (const wanted of columns.title ? [columns.title] : NAMING) {
		for (const [attribute, value] of Object.entries(item.attributes ?? {})) {
			const isWanted = columns.title ? attribute === wanted : attribute.toLowerCase() === wanted;
			if (isWanted && typeof value === "string" && value.trim()) return value;
		}
	}
	return item.product ?? item.id;
}

/** Display name of an attribute: that of the settings, or `Base colour` for `baseColour` and `base_colour`. */
export function labelOf(attribute) {
	for (const named of [labels[language], labels.any])
		if (named && Object.hasOwn(named, attribute)) return named[attribute];
	const words = attribute
		.replace(/([a-z\d])([A-Z])/g, "$1 $2")
		.replace(/[_\s]+/g, " ")
		.trim()
		.toLowerCase();
	const key = `attribute_${words.replaceAll(" ", "_").replaceAll("colour", "color")}`;
	if (hasMessage(key)) return message(key);
	return capital(words) || attribute;
}

const keyOf = (start, word) => `${start}_${word.toLowerCase().replace(/[^a-z0-9]+/g, "_")}`;

/** Text for a kind of garment, or several of them. */
export const kindText = (kind, count = 1) =>
	hasMessage(keyOf("kind", kind)) ? message(keyOf("kind", kind), {count}) : kind.toLowerCase();

/** Text for a word of the model; empty if this language has none for it. */
export function wordText(word) {
	for (const key of [keyOf("word", word), keyOf("kind", word)])
		if (hasMessage(key)) return capital(message(key, {count: 1}));
	return language === "en" ? labelOf(word) : "";
}

export const capital = text => text.charAt(0).toLocaleUpperCase(language) + text.slice(1);

export const spaceLabel = space =>
	hasMessage(keyOf("space", space)) ? message(keyOf("space", space)) : labelOf(space.replace(/-/g, " "));

export function valueText(value) {
	if (value === null || value === undefined) return "";
	if (typeof value === "boolean") return message(value ? "yes" : "no");
	if (typeof value === "number") return numberText(value);
	if (Array.isArray(value)) return value.map(valueText).join(", ");
	if (typeof value === "object")
		return Object.entries(value)
			.map(([name, part]) => `${name}: ${valueText(part)}`)
			.join(", ");
	return String(value);
}

const scores = new Intl.NumberFormat(language, {minimumFractionDigits: 2, maximumFractionDigits: 2});

export const scoreText = score => scores.format(score).replace("-", "\u2212");

export const percentText = share => new Intl.NumberFormat(language, {style: "percent"}).format(share);

/** Line of the values that the settings name, or of a few short ones that the name lacks. */
export function factsLine(item, most = 3) {
	const attributes = item.attributes ?? {};
	if (columns.card.length)
		return columns.card
			.map(name => valueText(attributes[name]))
			.filter(Boolean)
			.join(" · ");
	const said = nameOf(item).toLowerCase();
	const facts = [];
	for (const [attribute, value] of Object.entries(attributes)) {
		if (facts.length >= most) break;
		if (isNaming(attribute) || isSpecial(attribute) || isHidden(attribute)) continue;
		if (typeof value === "number") facts.push(`${labelOf(attribute)} ${numberText(value)}`);
		else if (typeof value === "string" && value.length < 24 && value.trim() && !alreadySaid(value, said))
			facts.push(value);
	}
	return facts.join(" · ");
}

const alreadySaid = (value, said) => said.includes(value.toLowerCase().replace(/s$/, ""));

/** Contribution of each weighted space to a score: cosine, share of the weights, and their product. */
export function contributions(match, weights) {
	const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
	return Object.entries(match.scores)
		.filter(([space]) => weights[space] > 0)
		.map(([space, cosine]) => ({
			space,
			cosine,
			share: weights[space] / total,
			part: (cosine * weights[space]) / total,
		}));
}
