# Makes a table, one line a frame, of the messages `unetsegment` that `gst-launch-1.0 --messages` prints:
#   Got message #9 from element "unetsegment0" (element): unetsegment, frame=(guint64)0, ..., coverage=(double)0.05;
# The variable `objects` is what the things that are counted are called.

# The value of a field of the message; empty when the message has no such field.
function value(name,    text) {
    if (!match($0, "[ ,]" name "=\\([a-z0-9]+\\)[^,;]+"))
        return ""
    text = substr($0, RSTART, RLENGTH)
    sub(/.*\)/, "", text)
    return text
}

BEGIN { print "frame,seconds," objects ",coverage" }

/ \(element\): unetsegment, / {
    time = value("timestamp")
    printf "%s,%s,%s,%.4f\n", value("frame"), time == "" ? "" : sprintf("%.3f", time / 1e9), value("objects"), value("coverage")
}
