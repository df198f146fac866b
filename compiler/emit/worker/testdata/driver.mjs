// Test only: takes a message by HTTP, calls the Worker's email() as Email Routing would, and reports what the
// sender would see. x-from and x-to are the envelope, the body is the raw message.
export default {
  async fetch(request, env) {
    const raw = await request.arrayBuffer();
    const seen = { outcome: "accepted", rejects: [] };
    try {
      await env.EDGE.email({
        from: request.headers.get("x-from") ?? "", to: request.headers.get("x-to") ?? "",
        raw: new Response(raw).body, rawSize: raw.byteLength, headers: new Headers(),
        setReject: (reason) => void seen.rejects.push(reason),
      });
    } catch (error) {
      seen.outcome = "exception";
      seen.error = String(error?.message ?? error);
    }
    if (seen.outcome === "accepted" && seen.rejects.length > 0) seen.outcome = "rejected";
    return Response.json(seen);
  },
};
