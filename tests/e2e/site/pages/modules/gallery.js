export function showGallery(days) {
  return days.map((day) => {
    const picture = new Image(96, 96);
    picture.src = `/images/day-${day.number}.png`;
    picture.alt = `day ${day.number}`;
    document.querySelector("#gallery").append(picture);
    return picture;
  });
}
