export function showCharts(days) {
  const names = [...new Set(days.map((day) => day.chart))];
  return names.map((name) => {
    const chart = new Image();
    chart.src = `/images/${name}.svg`;
    chart.alt = `chart ${name}`;
    document.querySelector("#charts").append(chart);
    return chart;
  });
}
