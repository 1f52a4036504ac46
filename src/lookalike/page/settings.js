// Settings of the page and its texts, from the server.

/** Language of the page, for texts, numbers and plurals. */
export const language = document.documentElement.lang;

const load = path => fetch(path).then(answer => (answer.ok ? answer.json() : Promise.reject(new Error(path))));
const loaded = Promise.all([load("page.json"), load(`texts/${language}.json`)]);
loaded.catch(() => (document.getElementById("not-loaded").hidden = false)); // its text is in the HTML

/** @type {[import("./types.js").Settings, Record<string, string|Record<string, string>>]} */
export const [settings, texts] = await loaded;

let later = null; // promise of the texts that few visitors see

/** Load a part of the page that only some visitors need, with its texts. @template T @param {Promise<T>} part @returns {Promise<T>} */
export async function withTexts(part) {
	later ??= load(`texts/${language}-later.json`).then(more => Object.assign(texts, more));
	later.catch(() => (later = null)); // the next part tries again
	return (await Promise.all([part, later]))[0];
}

const plurals = new Intl.PluralRules(language);

/** Number in the language of the page, with at most two decimals. */
export const numberText = value => new Intl.NumberFormat(language, {maximumFractionDigits: 2}).format(value);

/**
 * Text of the page in its language.
 * @param {string} key Key of the files in texts/; those of `later` are there after `withTexts`.
 * @param {Record<string, string|number>} [values] Values for the places in braces; `count` chooses among plural forms.
 */
export function message(key, values = {}) {
	const forms = texts[key];
	if (forms === undefined) throw new Error(`there is no text ${key}`);
	const form = typeof forms === "string" ? forms : (forms[plurals.select(Number(values.count))] ?? forms.other);
	return form.replace(/\{(\w+)\}/g, (_, name) => {
		const value = values[name];
		return typeof value === "number" ? numberText(value) : value;
	});
}

/** Whether there is a text. */
export const hasMessage = key => Object.hasOwn(texts, key);
