// What an item is as a product: title, address, price, and whether it can be bought.

const PRICE = /^\s*([A-Z]{3})?\s*(\d+(?:\.\d+)?)\s*([A-Z]{3})?\s*$/;
const GONE = /^(?:no|false|0|out[ _]of[ _]stock|sold[ _]out|discontinued)$/i;
const THERE = /^(?:yes|true|in[ _]stock|limited[ _]availability|preorder|backorder)$/i;

/** Names of the columns. */
export const COLUMNS = {
	title: "title",
	link: "link",
	price: "price",
	sale_price: "sale_price",
	currency: "currency",
	in_stock: "in_stock",
};

/**
 * @typedef {object} Reading How attributes are read and written.
 * @property {typeof COLUMNS} columns
 * @property {string} language Of numbers.
 * @property {string|null} currency Of prices without one.
 */

/** Columns by what they hold, from text such as `title:name, price:cost`. @param {string|null} text */
export function columnsOf(text) {
	const pairs = (text ?? "").split(",").map(pair => pair.split(":").map(part => part.trim()));
	return {...COLUMNS, ...Object.fromEntries(pairs.filter(([what, column]) => what in COLUMNS && column))};
}

/** Address where an item can be bought, or null. Nothing but http and https: a catalogue could say `javascript:`. @param {unknown} said */
export function addressOf(said) {
	if (typeof said !== "string" || !URL.canParse(said.trim())) return null;
	const {protocol, href} = new URL(said.trim());
	return protocol === "https:" || protocol === "http:" ? href : null;
}

/** Whether an item can be bought; null if nothing is said of it. @param {unknown} said */
export function stockOf(said) {
	if (typeof said === "boolean") return said;
	if (typeof said === "number") return said > 0;
	if (typeof said !== "string") return null;
	return GONE.test(said.trim()) ? false : THERE.test(said.trim()) ? true : null;
}

/**
 * Price of an item, as texts.
 * @param {Record<string, unknown>} attributes
 * @param {Reading} reading
 * @returns {{now: string, before: string|null, share: number, currency: string|null}|null} `before` is of an item on sale, and
 *   `share` what the sale price is less, such as -0.2.
 */
export function priceOf(attributes, {columns, language, currency: usual}) {
	const named = String(attributes[columns.currency] ?? "").trim();
	const own = /^[A-Z]{3}$/.test(named) ? named : usual;
	const full = amountOf(attributes[columns.price], own);
	const lower = amountOf(attributes[columns.sale_price], own);
	const isSale = full && lower && lower.currency === full.currency && lower.amount < full.amount;
	const one = isSale ? lower : (full ?? lower);
	if (!one) return null;
	const [share, before] = isSale ? [lower.amount / full.amount - 1, moneyText(full, language)] : [0, null];
	return {now: moneyText(one, language), before, share, currency: one.currency};
}

/** @param {unknown} said @param {string|null} own @returns {{amount: number, currency: string|null}|null} */
function amountOf(said, own) {
	if (typeof said !== "number" && typeof said !== "string") return null;
	const [, before, number, after] = PRICE.exec(String(said)) ?? [];
	return number === undefined ? null : {amount: Number(number), currency: before ?? after ?? own};
}

function moneyText({amount, currency}, language) {
	const minor = Number.isInteger(amount) ? {trailingZeroDisplay: "stripIfInteger"} : {};
	const options = currency ? {style: "currency", currency, ...minor} : {maximumFractionDigits: 2};
	return new Intl.NumberFormat(language, /** @type {Intl.NumberFormatOptions} */ (options)).format(amount);
}

/**
 * What a card shows of a match.
 * @param {any} match
 * @param {Reading} reading
 */
export function productOf({id, product, attributes}, reading) {
	const {columns} = reading;
	const price = priceOf(attributes, reading);
	return {
		title: String(attributes[columns.title] ?? product ?? id),
		link: addressOf(attributes[columns.link]),
		price: price?.now ?? "",
		before: price?.before ?? "",
		sold: stockOf(attributes[columns.in_stock]) === false,
	};
}
