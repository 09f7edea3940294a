// The pages work without this script. It filters the list while you type, copies examples, and shows in place what would otherwise
// be a page of its own.
(() => {
	"use strict";
	const $ = (selector, root = document) => [...root.querySelectorAll(selector)];

	// One slip of the fingers is forgiven in words of four letters and more.
	const near = (a, b) => {
		const short = Math.min(a.length, b.length);
		if (short < 3 || short < 4 && (a.length === b.length || a[0] !== b[0]) || Math.abs(a.length - b.length) > 1 || /^\d/.test(a)) return false;
		let i = 0, j = 0;
		while (i < a.length && a[i] === b[i]) i++;
		while (j < a.length - i && j < b.length - i && a[a.length - 1 - j] === b[b.length - 1 - j]) j++;
		const x = a.slice(i, a.length - j), y = b.slice(i, b.length - j);
		return x.length + y.length <= 2 || (x.length === 2 && x === y[1] + y[0]);
	};
	const words = text => text.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);
	// Whoever names codes by their numbers ("HTTP/1.1 404 Not Found") wants those, whatever else is there.
	const named = (terms, rows) => terms.filter(t => rows.some(({known}) => known[0] === t));
	const fits = (terms, known) => terms.every(t => known.some(w => w.startsWith(t) || near(t, w)));

	const list = () => {
		const form = $(".search")[0], input = $("#q")[0];
		if (!form || !$(".group[id]").length) return; // the server has searched: Enter asks it again
		const rows = $(".row").map(row => ({row, known: words(row.dataset.words)}));
		const all = rows.length > 60; // the server has left nothing out
		let chosen = "0";
		form.hidden = false;
		const filter = () => {
			const terms = words(input.value).slice(0, 8), numbers = named(terms, rows);
			let n = 0;
			for (const {row, known} of rows) {
				const show = (chosen === "0" || row.classList.contains("c" + chosen)) &&
					(numbers.length ? numbers.includes(known[0]) : fits(terms, known));
				row.hidden = !show;
				if (show) n++;
			}
			for (const group of $(".group")) group.hidden = !$(".row:not([hidden])", group).length;
			$("#none")[0].hidden = n > 0;
			$("#count")[0].textContent = terms.length || chosen !== "0" ? n + (n === 1 ? " code" : " codes") : "";
		};
		input.addEventListener("input", filter);
		if (!form.action || !form.hasAttribute("action")) form.addEventListener("submit", event => event.preventDefault());
		for (const chip of all ? $(".chip") : []) {
			chip.addEventListener("click", event => {
				if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
				event.preventDefault();
				chosen = chip.dataset.class;
				for (const other of $(".chip")) other.removeAttribute("aria-current");
				chip.setAttribute("aria-current", "true");
				if (form.hasAttribute("action")) history.replaceState(null, "", chosen === "0" ? "./" : "./?class=" + chosen);
				filter();
			});
		}
		if (input.value) filter();
	};

	const copy = async (text, button, pre) => {
		try {
			await navigator.clipboard.writeText(text);
			button.textContent = "Copied";
		} catch {
			getSelection().selectAllChildren(pre);
			button.textContent = "Selected";
		}
		setTimeout(() => { button.textContent = "Copy"; }, 2000);
	};
	const examples = () => {
		for (const figure of $(".message")) {
			const pre = $("pre", figure)[0], button = document.createElement("button");
			button.type = "button";
			button.className = "copy";
			button.textContent = "Copy";
			button.setAttribute("aria-live", "polite");
			button.addEventListener("click", () => copy(pre.textContent + "\n", button, pre));
			figure.insertBefore(button, pre);
		}
	};

	// Back leads to the list as it was, with its search and place.
	const back = () => {
		const link = $("#back")[0];
		if (!link) return;
		const here = new URL(link.href), from = document.referrer && new URL(document.referrer);
		if (!from || from.origin !== here.origin || from.pathname !== here.pathname || history.length < 2) return;
		link.addEventListener("click", event => {
			if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
			event.preventDefault();
			history.back();
		});
	};

	const watch = () => {
		const form = $("#watch form")[0], place = $("#watched")[0];
		if (!form) return;
		form.addEventListener("submit", async event => {
			event.preventDefault();
			const button = $("button", form)[0];
			button.disabled = true;
			place.textContent = "The gateway starts …";
			try {
				const answer = await fetch(form.action, {method: "POST"});
				if (answer.headers.get("Content-Type").startsWith("text/html")) {
					const page = new DOMParser().parseFromString(await answer.text(), "text/html");
					place.replaceChildren($("#drawing", page)[0]);
					button.textContent = "Once more";
				} else {
					place.textContent = (await answer.json()).detail;
				}
			} catch {
				place.textContent = "The guide does not answer.";
			}
			button.disabled = false;
		});
	};

	list();
	examples();
	back();
	watch();
})();
