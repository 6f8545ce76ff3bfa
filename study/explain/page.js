// slider is a choice from a list of layers.
const slider = (name, layers, change) => {
	const out = make("output", {textContent: layers[0].layer});
	const input = make("input", {type: "range", min: 0, max: layers.length - 1, value: 0, oninput: () => {
		out.textContent = layers[input.value].layer;
		change(layers[input.value]);
	}});
	return make("label", {}, name, input, out);
};

const attention = (figure, data) => {
	const n = data.tokens.length, earlier = data.first > 0 ? 1 : 0;
	const names = data.tokens.map((t, i) => (data.first + i) + " " + t);
	const columns = earlier ? ["earlier", ...names] : names;
	const perHead = n * (n + 1) / 2 + n * earlier;
	let layer, head = 0, reader = n - 1, probs;
	const p = (h, r, i) => { // token r reads column i
		if (i > r + earlier) return null;
		const b = probs[h * perHead + r * (r + 1) / 2 + r * earlier + i] / 255;
		return b * b;
	};
	const tip = make("p", {className: "tip"}), reading = make("p", {className: "reading"}), heads = make("div", {className: "heads"}), canvas = make("canvas");
	const tokens = columns.map((t, i) => make("span", {className: "token", textContent: i < earlier ? "earlier" : data.tokens[i - earlier], onpointerenter: () => choice(i), onclick: () => choice(i)}));
	reading.append(...tokens);
	const choice = i => { if (i >= earlier) { reader = i - earlier; show(); } };
	const big = new Grid(canvas, at => {
		if (!at || p(head, at.row, at.column) === null) return;
		if (at.row !== reader) { reader = at.row; show(); }
		tip.textContent = `Head ${head} of layer ${layer.layer}: ${names[reader]} reads ${columns[at.column]}: ${percent(p(head, reader, at.column))}`;
	});
	const draw = () => big.show({rows: names, columns, room: 580, least: 7, most: 44, upright: true, draw: (c, r, i, x, y, w, h) => {
		const v = p(head, r, i);
		if (v === null) return;
		fill(c, x, y, w, h, colours.faint);
		fill(c, x, y, w, h, colours.cold, Math.sqrt(v));
	}});
	const show = () => {
		big.mark({row: reader});
		tokens.forEach((t, i) => {
			const v = p(head, reader, i);
			t.classList.toggle("reads", i === reader + earlier);
			t.style.background = v === null ? "transparent" : `color-mix(in srgb, var(--s0) ${70 * v}%, var(--faint))`;
			t.title = v === null ? "" : percent(v);
		});
		let best = 0;
		for (let i = 1; i <= reader + earlier; i++) if (p(head, reader, i) > p(head, reader, best)) best = i;
		tip.textContent = `Head ${head} of layer ${layer.layer}: ${names[reader]} reads most from ${columns[best]}: ${percent(p(head, reader, best))}`;
		[...heads.children].forEach((b, h) => b.setAttribute("aria-pressed", h === head));
	};
	const thumbnails = () => {
		heads.replaceChildren(...Array.from({length: layer.heads}, (_, h) => {
			const small = make("canvas"), side = 76, cell = side / (n + earlier);
			const c = sized(small, side, side);
			c.fillStyle = colours.faint;
			c.fillRect(0, 0, side, side);
			c.fillStyle = colours.cold;
			for (let r = 0; r < n; r++) for (let i = 0; i <= r + earlier; i++) {
				c.globalAlpha = Math.sqrt(p(h, r, i));
				c.fillRect(i * cell, r * side / n, cell, side / n);
			}
			return make("button", {type: "button", onclick: () => { head = h; draw(); show(); }}, small, "head " + h);
		}));
	};
	const choose = l => {
		layer = l;
		probs = Uint8Array.from(atob(l.probs), ch => ch.charCodeAt(0));
		if (probs.length !== l.heads * perHead) throw new Error("the attention of layer " + l.layer + " is incomplete");
		head = Math.min(head, l.heads - 1);
		thumbnails();
		draw();
		show();
	};
	figure.append(make("div", {className: "controls"}, slider("layer", data.layers, choose)), heads,
		make("div", {className: "view"}, make("div", {className: "grid"}, canvas), make("div", {}, tip, reading)));
	choose(data.layers[0]);
	onColours(() => { thumbnails(); draw(); show(); });
};

const routing = (figure, data) => {
	const tip = make("p", {className: "tip", textContent: "Rest the pointer on a cell to see a weight."}), canvas = make("canvas");
	const names = data.tokens.map((t, i) => (data.first + i) + " " + t);
	let layer;
	const weight = (r, i) => layer.routes[i].experts.find(x => x.id === r)?.weight ?? 0;
	const grid = new Grid(canvas, at => {
		if (!at) return;
		const w = weight(at.row, at.column);
		tip.textContent = `Layer ${layer.layer}: expert ${at.row} ` + (w > 0 ? `works on ${names[at.column]} with weight ${w.toFixed(3)}` : `is not chosen for ${names[at.column]}`);
	});
	const draw = () => {
		const most = Math.max(...layer.routes.flatMap(r => r.experts.map(x => x.weight)), 1e-9);
		grid.show({rows: Array.from({length: layer.experts}, (_, e) => "expert " + e), columns: names, room: 580, least: 7, most: 44, upright: true, draw: (c, r, i, x, y, w, h) => {
			fill(c, x, y, w, h, colours.faint);
			fill(c, x, y, w, h, colours.cold, Math.sqrt(weight(r, i) / most));
		}});
	};
	const choose = l => {
		layer = l;
		draw();
	};
	figure.append(make("div", {className: "controls"}, slider("layer", data.layers, choose)), make("div", {className: "view"}, make("div", {className: "grid"}, canvas), tip));
	choose(data.layers[0]);
	onColours(draw);
};

for (const figure of document.querySelectorAll("[data-scope]")) {
	({attention, routing})[figure.dataset.scope](figure, read(figure.dataset.scope));
}
