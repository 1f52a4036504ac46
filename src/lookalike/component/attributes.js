// What attributes say of a product.

const PRICE = /^\s*([A-Z]{3})?\s*(\d+(?:\.\d+)?)\s*([A-Z]{3})?\s*$/;
const GONE = /^(?:no|false|0|out[ _]of[ _]stock|sold[ _]out|discontinued)$/i;
const THERE = /^(?:yes|true|in[ _]stock|limited[ _]availability|preorder|backorder)$/i;

/** Address of a web page; null for `javascript:` and others. */
export function addressOf(said) {
	if (typeof said !== "string" || !URL.canParse(said.trim())) return null;
	const {protocol, href} = new URL(said.trim());
	return protocol === "https:" || protocol === "http:" ? href : null;
}

/** Whether an item can be bought; null if that is not said. */
export function stockOf(said) {
	if (typeof said === "boolean") return said;
	if (typeof said === "number") return said > 0;
	const text = String(said ?? "").trim();
	return GONE.test(text) ? false : THERE.test(text) ? true : null;
}

/** Price as texts; null without one. On sale, `share` is such as -0.2. */
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

function amountOf(said, own) {
	const [, before, number, after] = PRICE.exec(String(said ?? "")) ?? [];
	return number === undefined ? null : {amount: Number(number), currency: before ?? after ?? own ?? undefined};
}

function moneyText({amount, currency}, language) {
	const digits = Number.isInteger(amount) ? 0 : currency ? undefined : 2;
	const style = currency ? "currency" : "decimal";
	return new Intl.NumberFormat(language, {style, currency, maximumFractionDigits: digits}).format(amount);
}
