/* Counts what is on each frame of a stream: objects by the element's messages, pixels by the mask attached to the
 * frame. count.rs and count.py are the same program in other languages.
 *
 *   cc count.c -o count $(pkg-config --cflags --libs gstreamer-1.0 gstreamer-app-1.0)
 *   ./count models/nuclei-fluo.onnx "videotestsrc num-buffers=3 pattern=ball"
 */

#include <gst/app/gstappsink.h>
#include <gst/gst.h>

#define SOURCE "videotestsrc num-buffers=3 pattern=ball ! video/x-raw,width=256,height=256"

/* Takes all messages off the bus: appends object counts to `told`, and stores the first error in `error`. Popping only
 * one kind of message would discard those before it. */
static void
listen (GstBus *bus, GQueue *told, GError **error)
{
  GstMessage *message;

  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR))) {
    const GstStructure *fields = gst_message_get_structure (message);
    guint objects = 0;

    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
      if (!*error)
        gst_message_parse_error (message, error, NULL);
    } else if (gst_structure_has_name (fields, "unetsegment")
        && gst_structure_get_uint (fields, "objects", &objects)) {
      g_queue_push_tail (told, GUINT_TO_POINTER (objects));
    }
    gst_message_unref (message);
  }
}

/* Pixels of the mask that are not background; -1 where the frame carries none. */
static long
foreground (GstBuffer *frame)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (frame, "GstUNetSegmentMask");
  GstBuffer *mask = NULL;
  GstMapInfo map;
  long pixels = -1;

  if (!meta || !gst_structure_get (gst_custom_meta_get_structure (meta), "mask", GST_TYPE_BUFFER, &mask, NULL))
    return -1;
  if (gst_buffer_map (mask, &map, GST_MAP_READ)) {
    pixels = 0;
    for (gsize i = 0; i < map.size; i++)
      pixels += map.data[i] != 0;
    gst_buffer_unmap (mask, &map);
  }
  gst_buffer_unref (mask);
  return pixels;
}

int
main (int argc, char **argv)
{
  GError *error = NULL;
  GQueue told = G_QUEUE_INIT;
  GstSample *sample;
  int status = 0;

  gst_init (&argc, &argv);
  if (argc < 2 || argc > 3) {
    g_printerr ("usage: count MODEL.onnx [SOURCE]\n");
    return 2;
  }
  /* videoconvert leaves formats that the element accepts unchanged: 16 bits stay 16 bits. */
  gchar *text = g_strdup_printf ("%s ! videoconvert ! "
      "unetsegment name=segment output=none post-messages=true ! appsink name=frames sync=false",
      argc == 3 ? argv[2] : SOURCE);
  GstElement *pipeline = gst_parse_launch (text, &error);
  g_free (text);
  if (error) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  GstElement *segment = gst_bin_get_by_name (GST_BIN (pipeline), "segment");
  g_object_set (segment, "model-file", argv[1], NULL);
  GstElement *frames = gst_bin_get_by_name (GST_BIN (pipeline), "frames");
  GstBus *bus = gst_element_get_bus (pipeline);

  /* Should this fail, the bus has the reason. */
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (!error && !gst_app_sink_is_eos (GST_APP_SINK (frames))) {
    sample = gst_app_sink_try_pull_sample (GST_APP_SINK (frames), 100 * GST_MSECOND);
    /* What is told of a frame is posted before it goes out. */
    listen (bus, &told, &error);
    if (sample) {
      long pixels = foreground (gst_sample_get_buffer (sample));

      g_print ("%u objects, %ld pixels\n", GPOINTER_TO_UINT (g_queue_pop_head (&told)), pixels);
      gst_sample_unref (sample);
    }
  }
  if (error) {
    g_printerr ("%s\n", error->message);
    g_clear_error (&error);
    status = 1;
  }
  g_queue_clear (&told);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (frames);
  gst_object_unref (segment);
  gst_object_unref (pipeline);
  return status;
}
