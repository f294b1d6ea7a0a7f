"""MOT and CSV: columns by their names, boxes by corners or centres converted, faults by their line."""

import pytest

from jmpose_jax.boxes.text_forms import read_text
from jmpose_jax.errors import InputError


def only(text):
    content = read_text("boxes.csv", text)
    assert len(content.rows) == 1
    return content, content.rows[0], content.images[0]


@pytest.mark.parametrize(
    "text",
    [
        "frame,x,y,w,h\n3,10,20,30,60\n",
        "Frame_ID; Left; Top; Width; Height\n3;10;20;30;60\n",
        "frame\tx1\ty1\tx2\ty2\n3\t10\t20\t40\t80\n",
        "frame,xmin,ymin,xmax,ymax\r\n3,10,20,40,80\r\n",
        'frame,"x","y","w","h"\n"3","10","20","30","60"\n',
        "frame cx cy w h\n3 25 50 30 60\n",
        # Tables of TensorFlow's kind name the image's size beside the corners.
        "width,height,xmin,ymin,xmax,ymax,frame\n960,540,10,20,40,80,3\n",
        "\n3, -1, 10, 20, 30, 60, 1, -1, -1, -1\n\n",
        "3 -1 10 20 30 60 1\n",
        "3,-1,10,20,30,60\n",
        "3,-1,10,20,30,60,1,1,0.4\n",
    ],
)
def test_one_box_in_many_spellings(text):
    content, row, image = only(text)
    assert (image.number, row.box, row.score, row.person, row.track) == (3, (10, 20, 30, 60), 1.0, True, None)
    assert content.form == ("csv" if any(c in text for c in "xX") or "Left" in text else "mot")


def test_score_identity_and_category():
    _, row, image = only("file_name,x,y,w,h,confidence,id,label\na/7.jpg,1,2,3,4,0.5,anna,Car\n")
    assert (image.name, row.score, row.track, row.person) == ("a/7.jpg", 0.5, "anna", False)
    assert not only("1,2,10,20,30,60,1,3,0.4\n")[1].person  # class 3 of MOT's ground truth is a car
    assert only("frame,x,y,w,h\na/7.jpg,1,2,3,4\n")[2].name == "a/7.jpg"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,x,y,w\n1,2,3,4\n", "header.*name the columns frame"),
        ("x,y,w,h\n1,2,3,4\n", "header"),
        ("frame,x,y,w,h\n1,2,3,4\n", "line 2 has 4 columns"),
        ("frame,x,y,w,h\n1,2,3,4,5\n1,2,3,4,5,6\n", "line 3 has 6 columns"),
        ("frame,x,y,w,h\n1,2,nan,4,5\n", r"line 2\[1\]"),
        ("frame,x,y,w,h,score\n1,2,3,4,5,inf\n", "line 2: the score"),
        ("frame,x,y,w,h,score\n1,2,3,4,5,\n", "line 2: the score"),
        ("frame,x,y,w,h\n,2,3,4,5\n", "line 2: the frame is empty"),
        ("image_name,x,y,w,h\n,2,3,4,5\n", "line 2: the image is empty"),
        ("frame,x,y,w,h\n-1,2,3,4,5\n", "line 2: the frame"),
        ('frame,x,y,w,h\n1,"2,3,4,5\n', "no CSV"),
        ("1,1,10,20,30,60,1\n2,1,10,20\n", "line 2 has 4 columns"),
        ("1,1,10,20,30,60,1\n1.5,1,10,20,30,60,1\n", "line 2: the frame"),
        ("1,-3,10,20,30,60,1\n", "line 1: the id"),
        ("1,1,10,x,30,60,1\n", r"line 1\[1\]"),
    ],
)
def test_faults_name_the_line(text, message):
    with pytest.raises(InputError, match=rf"^boxes\.csv: .*{message}"):
        read_text("boxes.csv", text)


def test_other_text_is_no_table():
    for text in ("", "hello", "1,2,3\n", "12\n", "a,b,c,d,e,f,g\n1,2,3,4,5,6,7\n"):
        assert read_text("x", text) is None


def test_a_table_may_hold_videos_and_the_size_of_its_images():
    image = only("video,frame,x,y,w,h,image_width,image_height\nbase,3,1,2,3,4,640,480\n")[2]
    assert (image.video, image.size) == ("base", (640, 480))
    rows = read_text("b", "sequence,image_name,x,y,w,h\na,0.jpg,1,2,3,4\nb,0.jpg,1,2,3,4\n")
    assert [image.video for image in rows.images] == ["a", "b"]
    assert only("width,height,xmin,ymin,xmax,ymax,frame\n960,540,10,20,40,80,3\n")[2].size == (960, 540)
    # Width and height of the box beside its corners.
    assert only("xmin,ymin,xmax,ymax,width,height,frame\n10,20,40,80,30,60,3\n")[2].size is None


@pytest.mark.parametrize("header", ["frame,x,y,w,h,x", "frame,Frame,x,y,w,h", "frame,x,y,w,h,score,score"])
def test_a_column_that_stands_there_twice_is_refused(header):
    with pytest.raises(InputError, match=r"^boxes\.csv: .*twice"):
        read_text("boxes.csv", f"{header}\n{','.join('1' * len(header.split(',')))}\n")


def test_decimal_commas():
    row = only("frame;x;y;w;h;score\n3;10,5;20;30,25;60;0,9\n")[1]
    assert (row.box, row.score) == ((10.5, 20, 30.25, 60), 0.9)
    with pytest.raises(InputError, match="line 2"):  # beside a point, the comma parts thousands
        read_text("b", "frame;x;y;w;h;score\n3;1,000;20;30;60;0.9\n")


@pytest.mark.parametrize("comment", ["# made by a tracker", "#", "# 12 frames, 2 people"])
def test_comments_are_passed_over(comment):
    content, row, image = only(f"{comment}\n3,-1,10,20,30,60,1,-1,-1,-1\n{comment}\n")
    assert (content.form, image.number, row.box, row.place) == ("mot", 3, (10, 20, 30, 60), "line 2")


def test_a_comment_may_name_the_columns():
    content, row, image = only("# frame,x1,y1,x2,y2\n3,10,20,40,80\n")
    assert (content.form, image.number, row.box) == ("csv", 3, (10, 20, 30, 60))


def test_none_is_no_identity():
    assert only("frame,x,y,w,h,id\n3,1,2,3,4,None\n")[1].track is None
