namespace Uml.Storage.Nbd.Client;

/// <summary>
/// The requests that the server owes a reply to, by the cookies that they were sent with. A cookie is a place and how often it was used, so that a
/// reply that comes twice is to nothing. The last two places are the client's own. Used under the client's lock.
/// </summary>
internal sealed class NbdSlots
{
    private const int PlaceBits = 16;

    private readonly NbdRequest?[] _requests;
    private readonly Stack<int> _free;
    private ulong _uses;

    public NbdSlots(int count)
    {
        _requests = new NbdRequest?[count + 2];
        _free = new Stack<int>(Enumerable.Range(0, count).Reverse());
        (FlushPlace, ReplayPlace) = (count, count + 1);
    }

    /// <summary>Where the client's own flush is, and a write that is done again.</summary>
    public int FlushPlace { get; }

    public int ReplayPlace { get; }

    public bool HasFree => _free.Count > 0;

    /// <summary>Whether the callers' requests have all been answered.</summary>
    public bool IsIdle => _free.Count == FlushPlace;

    /// <summary>All places, of which many are empty.</summary>
    public ReadOnlySpan<NbdRequest?> All => _requests;

    public int TakeFree() => _free.Pop();

    public void Put(int place, NbdRequest request)
    {
        _requests[place] = request;
        request.Prepare(NextCookie(place));
    }

    /// <summary>Gives a request a new cookie, with which it is sent again.</summary>
    public void Renew(NbdRequest request) => request.Prepare(NextCookie(PlaceOf(request.Cookie)));

    public NbdRequest? Find(ulong cookie) =>
        PlaceOf(cookie) < _requests.Length && _requests[PlaceOf(cookie)] is { } request && request.Cookie == cookie && !request.IsReplied ? request : null;

    public void Remove(NbdRequest request)
    {
        int place = PlaceOf(request.Cookie);
        _requests[place] = null;
        if (place < FlushPlace)
        {
            _free.Push(place);
        }
    }

    private static int PlaceOf(ulong cookie) => (int)(cookie & ((1 << PlaceBits) - 1));

    private ulong NextCookie(int place) => (++_uses << PlaceBits) | (uint)place;
}
