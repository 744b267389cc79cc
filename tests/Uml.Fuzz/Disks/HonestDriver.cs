using System.Buffers.Binary;
using Uml.Fuzz.Running;
using Uml.Hosting.Testing;

namespace Uml.Fuzz.Disks;

/// <summary>
/// A driver that obeys every rule, beside a model of the disk: what it reads is what the model has, every request ends with the result that it has
/// to have, and no notification or interrupt is missed that the rules promise.
/// </summary>
internal sealed class HonestDriver
{
    private const int Slots = 16, Sector = 512;
    private const ulong Version1 = 1UL << 32, EventIndex = 1UL << 29, Indirect = 1UL << 28;

    private readonly VirtqueueBench _bench;
    private readonly FuzzRandom _random;
    private readonly VirtioPciDriver _driver;
    private readonly VirtioDriverQueue _queue;
    private readonly ulong _features;
    private readonly byte[] _model;

    /// <summary>Sectors of which nobody knows what they have: a write to them failed.</summary>
    private readonly bool[] _isUnknown;
    private readonly Stack<DiskRequest> _free = new();
    private readonly List<DiskRequest> _underWay = [];
    private bool _wantsInterrupts;
    private ushort _notified;

    public HonestDriver(VirtqueueBench bench)
    {
        (_bench, _random, _driver) = (bench, bench.Random, bench.DiskDriver);
        bench.Reset(_driver);
        _features = _driver.Negotiate(Version1 | (_random.OneIn(2) ? ulong.MaxValue : _random.UInt64()));
        _queue = _driver.SetUpQueue(0, VirtqueueBench.DiskRings, (ushort)(8 << _random.Below(6)));
        _driver.Start();
        _model = bench.Disk.Copy();
        _isUnknown = new bool[_model.Length / Sector];
        for (int i = Slots - 1; i >= 0; i--)
        {
            _free.Push(new DiskRequest(i));
        }

        while (_driver.TakeInterrupt() >= 0)
        {
        }

        SetInterrupts();
    }

    public void Run(int requests)
    {
        for (int i = 0; i < requests; i++)
        {
            switch (_random.Below(16))
            {
                case 0:
                    _bench.SaveAndRestore(VirtqueueBench.DiskId);
                    break;
                case 1 or 2:
                    Finish();
                    SetInterrupts();
                    break;
                case 3 or 4:
                    _bench.Sandbox.Advance((ulong)_random.Below(100_000));
                    TakeUsed();
                    break;
                default:
                    Submit();
                    break;
            }

            if (_random.OneIn(3))
            {
                Notify();
            }
        }

        Finish();
    }

    /// <summary>Waits for everything that is under way.</summary>
    private void Finish()
    {
        Notify();
        _bench.WaitFor(
            () =>
            {
                TakeUsed();
                return _underWay.Count == 0;
            },
            "a request");
    }

    private void Submit()
    {
        if (!_free.TryPop(out DiskRequest? request))
        {
            Finish();
            return;
        }

        Choose(request);
        if (_underWay.Exists(other => (other.Changes || request.Changes) && other.Overlaps(request.Offset, request.Length)))
        {
            // Which of the two would be first is not known.
            Finish();
        }

        List<int> pieces = Cut(request.Bytes);
        bool isIndirect = (_features & Indirect) != 0 && _random.OneIn(2);
        if (_queue.Free < (isIndirect ? 1 : pieces.Count + 2))
        {
            Finish();
        }

        if (pieces.Count + 2 > (isIndirect ? 32 : _queue.Size))
        {
            pieces = [request.Bytes];
        }

        _bench.Write(request.Result, [DiskRequest.None]);
        request.Head = _queue.Add(request.Describe(pieces), isIndirect);
        _underWay.Add(request);
    }

    private void Choose(DiskRequest request)
    {
        request.Type = _random.Below(10) switch
        {
            0 => DiskRequest.Flush,
            1 => DiskRequest.GetId,
            2 => DiskRequest.Discard,
            3 => DiskRequest.WriteZeroes,
            4 => DiskRequest.Unknown,
            < 7 => DiskRequest.Out,
            _ => DiskRequest.In,
        };
        bool hasRange = request.Changes || request.Type == DiskRequest.In;
        int sectors = _model.Length / Sector;
        int start = _random.Below(sectors);
        int count = hasRange ? Math.Min(sectors - start, _random.Below(DiskRequest.MaximumData / Sector)) : 0;
        (request.Offset, request.Length) = (start * (long)Sector, count * Sector);
        request.Data = request.Type == DiskRequest.Out ? _random.Bytes(request.Length) : [];
        bool isOutside = hasRange && _random.OneIn(12);
        request.Expected = request.Type == DiskRequest.Unknown ? DiskRequest.Unsupported
            : isOutside || _bench.Disk.IsBad(request.Offset, request.Length) ? DiskRequest.Failed
            : DiskRequest.Ok;
        request.Length = isOutside ? Sector : request.Length;
        request.Offset = isOutside ? _model.Length + (Sector * (long)_random.Below(int.MaxValue)) : request.Offset;
        WriteHeader(request);
    }

    private void WriteHeader(DiskRequest request)
    {
        bool isRange = request.Type is DiskRequest.Discard or DiskRequest.WriteZeroes;
        Span<byte> header = stackalloc byte[16];
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header, request.Type);
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], isRange ? 0 : request.Offset / Sector);
        _bench.Write(request.Header, header);
        if (isRange)
        {
            header.Clear();
            BinaryPrimitives.WriteInt64LittleEndian(header, request.Offset / Sector);
            BinaryPrimitives.WriteInt32LittleEndian(header[8..], request.Length / Sector);
            header[12] = request.Type == DiskRequest.WriteZeroes ? (byte)_random.Below(2) : (byte)0;
            _bench.Write(request.DataAddress, header);
        }
        else if (request.Type == DiskRequest.Out)
        {
            _bench.Write(request.DataAddress, request.Data);
        }

        request.Bytes = request.Type switch
        {
            DiskRequest.In or DiskRequest.Out => request.Length,
            DiskRequest.Discard or DiskRequest.WriteZeroes => 16,
            DiskRequest.GetId => 20,
            _ => 0,
        };
    }

    /// <summary>Pieces of any size, the empty one included.</summary>
    private List<int> Cut(int length)
    {
        List<int> pieces = [];
        while (length > 0)
        {
            int piece = pieces.Count == 20 || _random.OneIn(3) ? length : Math.Min(length, _random.Below(3) == 0 ? _random.Below(64) : _random.Below(8192));
            pieces.Add(piece);
            length -= piece;
        }

        return pieces;
    }

    /// <summary>Notifies where the device asks for it (virtio 1.2, 2.7.10).</summary>
    private void Notify()
    {
        ushort index = _queue.AvailableIndex;
        bool isWanted = (_features & EventIndex) != 0
            ? (ushort)(index - _queue.AvailableEvent - 1) < (ushort)(index - _notified)
            : _queue.WantsNotification && index != _notified;
        _notified = index;
        if (isWanted)
        {
            _driver.Notify(0);
        }
    }

    private void SetInterrupts()
    {
        _wantsInterrupts = _random.OneIn(2);
        _queue.SetInterrupts(_wantsInterrupts);

        // An index that is not reached for long is how a driver says that it wants none, where indices are used.
        _queue.SetUsedEvent((ushort)(_queue.UsedIndex + (_wantsInterrupts ? 0 : 0x4000)));
    }

    private void TakeUsed()
    {
        bool isInterrupted = false;
        for (int queue = _driver.TakeInterrupt(); queue >= 0; queue = _driver.TakeInterrupt())
        {
            isInterrupted |= queue == 0;
        }

        bool isAny = false;
        while (_queue.TryTakeUsed(out ushort head, out uint written))
        {
            isAny = true;
            DiskRequest request = _underWay.Find(candidate => candidate.Head == head) ?? throw new InvalidOperationException($"Chain {head} is used, and was not under way.");
            _underWay.Remove(request);
            Check(request, written);
            _free.Push(request);
        }

        if (isAny && isInterrupted != _wantsInterrupts)
        {
            throw new InvalidOperationException(_wantsInterrupts ? "Requests ended without the interrupt that was asked for." : "An interrupt came that was not wanted.");
        }

        if (_wantsInterrupts)
        {
            _queue.SetUsedEvent(_queue.UsedIndex);
        }
    }

    private void Check(DiskRequest request, uint written)
    {
        byte result = _bench.Read(request.Result, 1)[0];
        if (result != request.Expected)
        {
            throw new InvalidOperationException($"The result of {request} is {result}, and has to be {request.Expected}.");
        }

        uint expected = result == DiskRequest.Ok && request.IsRead ? (uint)request.Bytes + 1 : 1;
        if (written != expected)
        {
            throw new InvalidOperationException($"The device says that it wrote {written} bytes for {request}, and wrote {expected}.");
        }

        if (result == DiskRequest.Unsupported || request.Offset >= _model.Length)
        {
            return;
        }

        int first = (int)(request.Offset / Sector), count = request.Length / Sector;
        if (request.Changes)
        {
            Span<byte> range = _model.AsSpan((int)request.Offset, request.Length);
            range.Clear();
            request.Data.CopyTo(range);
            _isUnknown.AsSpan(first, count).Fill(result != DiskRequest.Ok || request.Type == DiskRequest.Discard);
        }
        else if (request.Type == DiskRequest.In && result == DiskRequest.Ok)
        {
            CheckRead(request, first, count);
        }
    }

    private void CheckRead(DiskRequest request, int first, int count)
    {
        byte[] read = _bench.Read(request.DataAddress, request.Length);
        for (int i = 0; i < count; i++)
        {
            if (!_isUnknown[first + i] && !read.AsSpan(i * Sector, Sector).SequenceEqual(_model.AsSpan((first + i) * Sector, Sector)))
            {
                throw new InvalidOperationException($"Sector {first + i}, read by {request}, is not what was written to it.");
            }
        }
    }
}
