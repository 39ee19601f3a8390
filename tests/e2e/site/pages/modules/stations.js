export function showStations(stations) {
  const body = document.querySelector("#stations tbody");
  for (const { name, high, low } of stations) {
    const row = body.insertRow();
    for (const text of [name, `${high.toFixed(2)} m`, `${low.toFixed(2)} m`]) {
      row.insertCell().textContent = text;
    }
  }
}
