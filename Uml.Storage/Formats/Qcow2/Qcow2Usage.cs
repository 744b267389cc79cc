namespace Uml.Storage.Formats.Qcow2;

/// <summary>How often each cluster of a file is referred to, in pages that are there only where something is; and what is wrong.</summary>
internal sealed class Qcow2Usage
{
    private const int PageBits = 12, MaximumMessages = 100;

    private readonly SortedDictionary<long, ulong[]> _pages = [];
    private readonly List<string> _messages = [];
    private readonly List<long> _refcountClusters = [];
    private long _leaks, _corruptions;

    public Qcow2CheckResult Result => new(_leaks, _corruptions, _messages);

    /// <summary>Behind the last cluster that is referred to.</summary>
    public long End { get; private set; }

    /// <summary>Pages with clusters that are referred to, by the number of the first.</summary>
    public IEnumerable<(long First, ulong[] Counts)> Pages => _pages.Select(page => (page.Key << PageBits, page.Value));

    public ulong this[long cluster] => _pages.TryGetValue(cluster >> PageBits, out ulong[]? page) ? page[cluster & ((1 << PageBits) - 1)] : 0;

    public void Add(long cluster, ulong references)
    {
        if (!_pages.TryGetValue(cluster >> PageBits, out ulong[]? page))
        {
            page = new ulong[1 << PageBits];
            _pages.Add(cluster >> PageBits, page);
        }

        page[cluster & ((1 << PageBits) - 1)] += references;
        End = Math.Max(End, cluster + 1);
    }

    /// <summary>Counts a cluster of the refcount table or a block, which a new table does without.</summary>
    public void AddRefcountCluster(long cluster)
    {
        Add(cluster, 1);
        _refcountClusters.Add(cluster);
    }

    /// <summary>Takes those away again.</summary>
    public void RemoveRefcountClusters()
    {
        foreach (long cluster in _refcountClusters)
        {
            _pages[cluster >> PageBits][cluster & ((1 << PageBits) - 1)]--;
        }

        _refcountClusters.Clear();
    }

    public void AddLeak(string message)
    {
        _leaks++;
        Note(message);
    }

    public void AddCorruption(string message)
    {
        _corruptions++;
        Note(message);
    }

    private void Note(string message)
    {
        if (_messages.Count < MaximumMessages)
        {
            _messages.Add(message);
        }
    }
}
