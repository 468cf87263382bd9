// Keeping in sight, in a graph that is wider than its box, how far the saga is; until somebody looks elsewhere.
let left = 0; // where we left it

export function follow(graph) {
  const here = graph?.querySelector("[data-here]");
  if (!here) return;
  const [box, node] = [graph.getBoundingClientRect(), here.getBoundingClientRect()];
  graph.scrollLeft += node.left + node.width / 2 - box.left - box.width / 2;
  left = graph.scrollLeft;
}

// Whether it is where we left it.
export function followed(graph) {
  return graph?.matches(".graph") === true && Math.abs(graph.scrollLeft - left) < 2;
}
