"""Writes one table of boxes in every form that is read."""

import json

VIDEO = "012834_mpii_test"
FORMS: dict = {}


def form(function):
    FORMS[function.__name__] = function
    return function


def rows(table):
    return [(frame, *row) for frame, found in table.items() for row in found]


def flat(table, naming):
    return [
        {**naming(frame), "bbox": box, "score": score, "category_id": 1, "track_id": track}
        for frame, box, score, track in rows(table)
    ]


def images(table, naming, count):
    listed = [naming(frame) for frame in range(count)]
    found = [
        {"image_id": naming(frame)["id"], "bbox": box, "score": score, "track_id": track, "category_id": 1}
        for frame, box, score, track in rows(table)
    ]
    return {"images": listed, "annotations": found, "categories": [{"id": 1, "name": "person"}]}


def posetrack(frame):
    return {"id": 10128340000 + frame, "file_name": f"images/val/{VIDEO}/{frame:06d}.jpg"}


@form
def posetrack18(table, count):
    return json.dumps(images(table, posetrack, count))


@form
def posetrack18_ids_alone(table, count):
    return json.dumps(images(table, lambda frame: {"id": 10128340000 + frame}, count))


@form
def ffmpeg_images(table, count):
    return json.dumps(images(table, lambda i: {"id": i + 1, "file_name": f"frame_{i + 1:04d}.jpg"}, count))


@form
def text_ids(table, count):
    return json.dumps(images(table, lambda i: {"id": str(i), "file_name": f"v/{i:06d}.jpg"}, count))


@form
def posetrack17_names(table, count):
    return json.dumps(flat(table, lambda frame: {"image_name": f"bonn_5sec/012834_mpii/{frame + 1:08d}.jpg"}))


@form
def posetrack18_names(table, count):
    return json.dumps(flat(table, lambda frame: {"image_name": posetrack(frame)["file_name"]}))


@form
def coco_results(table, count):
    return json.dumps(flat(table, lambda frame: {"image_id": 10128340000 + frame}))


@form
def by_frame(table, count):
    return json.dumps({str(frame): [[*box, score] for box, score, _ in found] for frame, found in table.items()})


@form
def by_position(table, count):
    return json.dumps([[[*box, score] for box, score, _ in table.get(frame, [])] for frame in range(count)])


@form
def mot(table, count):
    lines = [
        f"{frame + 1},{track},{','.join(map(repr, box))},{score!r},-1,-1,-1" for frame, box, score, track in rows(table)
    ]
    return "\n".join(lines) + "\n"


@form
def csv(table, count):
    lines = [
        f"{posetrack(frame)['file_name']},{','.join(map(repr, box))},{score!r},{track}"
        for frame, box, score, track in rows(table)
    ]
    return "\n".join(["image_name,x,y,w,h,score,id", *lines]) + "\n"


@form
def csv_corners(table, count):
    lines = [
        f"{posetrack(frame)['file_name']};600;400;{x!r};{y!r};{x + w!r};{y + h!r};{score!r};person;{track}"
        for frame, (x, y, w, h), score, track in rows(table)
    ]
    return "\n".join(["filename;width;height;xmin;ymin;xmax;ymax;confidence;class;track_id", *lines]) + "\n"


WITHOUT_TRACKS = ("by_frame", "by_position")
