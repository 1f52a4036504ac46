// What a card shows of a match: title, link, price, stock.

/**
 * @typedef {object} Product
 * @property {string} title
 * @property {string|null} link Address of the product's page; only http and https.
 * @property {string} price Present price, with its currency; empty if it is unknown.
 * @property {string} before Price before a sale; empty without one.
 * @property {boolean} sold Whether it is out of stock.
 */

export const COLUMNS = {
	title: "title",
	link: "link",
	price: "price",
	sale_price: "sale_price",
	currency: "currency",
	in_stock: "in_stock",
};

/** Columns by what they hold, from text such as `title:name, price:cost`. @param {string|null} text */
export function columnsOf(text) {
	const pairs = (text ?? "").split(",").map(pair => pair.split(":").map(part => part.trim()));
	return {...COLUMNS, ...Object.fromEntries(pairs.filter(([what, column]) => what in COLUMNS && column))};
}

/**
 * @param {any} match Match of an answer.
 * @param {typeof COLUMNS} columns
 * @param {{language: string, currency: string|null}} as
 * @returns {Product}
 */
export function productOf({id, product, attributes}, columns, {language, currency}) {
	const value = what => attributes[columns[what]];
	const unit = value("currency") ?? currency;
	const price = priceText(value("price"), unit, language);
	const sale = priceText(value("sale_price"), unit, language);
	const isSale = sale !== "" && !(value("sale_price") >= value("price"));
	return {
		title: String(value("title") ?? product ?? id),
		link: safeLink(value("link")),
		price: isSale ? sale : price,
		before: isSale ? price : "",
		sold: value("in_stock") === false,
	};
}

/** A number as a price in a language; other values stay as they are. */
function priceText(value, unit, language) {
	if (value === null || value === undefined || value === "") return "";
	if (typeof value !== "number") return String(value);
	try {
		return new Intl.NumberFormat(language, unit ? {style: "currency", currency: unit} : {}).format(value);
	} catch (error) {
		if (error instanceof RangeError) return `${value} ${unit}`; // not a currency of ISO 4217
		throw error;
	}
}

/** The address of a web page, or null. */
function safeLink(value) {
	if (typeof value !== "string" || !URL.canParse(value, document.baseURI)) return null;
	const address = new URL(value, document.baseURI);
	return address.protocol === "https:" || address.protocol === "http:" ? address.href : null;
}
