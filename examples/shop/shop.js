// What the shop does with the events of the component.

const search = document.querySelector("lookalike-search");
const basket = document.getElementById("basket");

search.addEventListener("lookalike-select", event => {
	const {id, attributes} = event.detail;
	console.log("chosen", id, attributes.title ?? "");
});

search.addEventListener("lookalike-results", event => console.log("found", event.detail.matches.length));

search.addEventListener("click", event => {
	const product = event.target.closest(".product");
	if (!event.target.matches(".basket") || !product) return;
	basket.textContent = `${product.querySelector("h2").textContent} is in the basket.`;
});
