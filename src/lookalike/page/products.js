// What an item is as a product: its price, whether it can be bought, and where.

import {language, settings} from "./settings.js";

const {columns, currency: usual} = settings;
const PRICE = /^\s*([A-Z]{3})?\s*(\d+(?:\.\d+)?)\s*([A-Z]{3})?\s*$/;
const GONE = /^(?:no|false|0|out[ _]of[ _]stock|sold[ _]out|discontinued)$/i;
const THERE = /^(?:yes|true|in[ _]stock|limited[ _]availability|preorder|backorder)$/i;

/** Attributes that a card shows in their own way. */
export const isSpecial = name =>
	[columns.price, columns.sale_price, columns.currency, columns.link, columns.in_stock].includes(name);

/** Whether the settings hide an attribute. */
export const isHidden = name => columns.hidden.includes(name);

/** Address where an item can be bought, or null. Nothing but http and https: a catalogue could say `javascript:`. */
export function linkOf({attributes = {}}) {
	const said = attributes[columns.link];
	if (typeof said !== "string" || isHidden(columns.link)) return null;
	try {
		const {protocol, href} = new URL(said.trim());
		return protocol === "https:" || protocol === "http:" ? href : null;
	} catch {
		return null;
	}
}

/** Whether an item can be bought; null if nothing is said of it. */
export function inStock({attributes = {}}) {
	const said = isHidden(columns.in_stock) ? null : attributes[columns.in_stock];
	if (typeof said === "boolean") return said;
	if (typeof said === "number") return said > 0;
	if (typeof said !== "string") return null;
	return GONE.test(said.trim()) ? false : THERE.test(said.trim()) ? true : null;
}

/** Number and currency of a price. @returns {{amount: number, currency: string|null}|null} */
function amountOf(said, attributes) {
	const [, before, number, after] = PRICE.exec(typeof said === "number" ? String(said) : (said ?? "")) ?? [];
	if (number === undefined) return null;
	const named = String(attributes[columns.currency] ?? "").trim();
	const own = /^[A-Z]{3}$/.test(named) ? named : null;
	return {amount: Number(number), currency: before ?? after ?? own ?? usual};
}

/**
 * Price of an item, as texts.
 * @returns {{now: string, before: string|null, saved: string|null, currency: string|null}|null} `before` and `saved` are of
 *   an item on sale.
 */
export function priceOf({attributes = {}}) {
	const full = isHidden(columns.price) ? null : amountOf(attributes[columns.price], attributes);
	const lower = isHidden(columns.sale_price) ? null : amountOf(attributes[columns.sale_price], attributes);
	const isSale = full && lower && lower.currency === full.currency && lower.amount < full.amount;
	const one = full ?? lower;
	if (!one) return null;
	const {currency} = one;
	if (!isSale) return {now: moneyText(one), before: null, saved: null, currency};
	const share = lower.amount / full.amount - 1;
	const saved = new Intl.NumberFormat(language, {style: "percent"}).format(share);
	return {now: moneyText(lower), before: moneyText(full), saved: share <= -0.01 ? saved : null, currency};
}

function moneyText({amount, currency}) {
	const minor = Number.isInteger(amount) ? {trailingZeroDisplay: "stripIfInteger"} : {};
	const options = currency ? {style: "currency", currency, ...minor} : {maximumFractionDigits: 2};
	return new Intl.NumberFormat(language, /** @type {Intl.NumberFormatOptions} */ (options)).format(amount);
}
