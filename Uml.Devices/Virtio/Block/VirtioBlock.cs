using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Numerics;
using System.Text;
using Microsoft.Extensions.Logging;
using Uml.Core.Bus;
using Uml.Core.Snapshots;
using Uml.Devices.Virtio.Device;
using Uml.Devices.Virtio.Queue;
using Uml.Storage.Blocks;

namespace Uml.Devices.Virtio.Block;

/// <summary>
/// A disk of the guest (virtio 1.2, 5.2). Requests are taken from the queue and given back to it on the machine's thread, and carried out on
/// others. In virtual time each is given back a fixed time after it was made, in order, so that every run is the same.
/// </summary>
internal sealed class VirtioBlock : VirtioDevice, IDisposable
{
    private const ushort QueueSize = 256;

    /// <summary>Descriptors of a request that have data: the others are its header and its result.</summary>
    private const int MaximumSegments = QueueSize - 2;

    /// <summary>How long a request takes in virtual time. A choice of ours: an SSD's.</summary>
    private const ulong VirtualLatency = 50_000;

    /// <summary>Sectors of a range that is discarded or zeroed: 4 GiB less one sector.</summary>
    private const uint MaximumRangeSectors = (1U << 23) - 1;

    /// <summary>
    /// What the machine's thread carries out itself at a notification, in bytes: less than handing it to another thread takes, and the CPU does not
    /// stand still for longer than some tens of microseconds. Measured (docs/performance.md).
    /// </summary>
    private const int MaximumAtOnce = 1 << 20;

    private readonly IBlockDevice _disk;
    private readonly INonBlocking? _nonBlocking;
    private readonly byte[] _id = new byte[VirtioBlockLayout.IdLength];
    private readonly BlockRequestRunner _runner;
    private readonly ConcurrentQueue<BlockRequest> _done = new();
    private readonly Stack<BlockRequest> _free = new();

    /// <summary>Requests that the guest waits for, in order of their making.</summary>
    private readonly List<BlockRequest> _underWay = [];

    /// <summary>Requests of a restored state, which are carried out again once the machine runs.</summary>
    private readonly List<ushort> _restored = [];
    private readonly Action _deliver, _resubmit;
    private IMachineTimer? _timer;
    private int _posted;

    /// <summary>What the machine's thread may still carry out itself at this notification, in bytes.</summary>
    private int _atOnce;

    /// <summary>Whether the disk is gone, and the device is left; it is about to go too, and no state of the guest's.</summary>
    private bool _isCutOff;

    public VirtioBlock(IBlockDevice disk, string name, string serial, ILogger logger)
    {
        _disk = disk;
        _nonBlocking = disk.GetCapability<INonBlocking>();
        Encoding.ASCII.GetBytes(serial, _id);
        _runner = new BlockRequestRunner(disk, name, logger, OnDone);
        _deliver = Deliver;
        _resubmit = Resubmit;
    }

    public override ushort Type => VirtioBlockLayout.DeviceType;

    /// <summary>Mass storage, other.</summary>
    public override uint PciClass => 0x01_80_00;

    public override int ConfigurationLength => VirtioBlockLayout.ConfigurationLength;

    public override ulong OwnFeatures => VirtioBlockLayout.SegmentMaximum | VirtioBlockLayout.BlockSize | VirtioBlockLayout.Topology
        | (_disk.IsReadOnly ? VirtioBlockLayout.ReadOnly : 0)
        | (_disk.GetCapability<IFlushable>() is null ? 0 : VirtioBlockLayout.Flush)
        | (_disk.IsReadOnly || _disk.GetCapability<IDiscardable>() is null ? 0 : VirtioBlockLayout.Discard)
        | (_disk.IsReadOnly || _disk.GetCapability<IZeroable>() is null ? 0 : VirtioBlockLayout.WriteZeroes);

    public override bool IsBusy => _underWay.Count != 0;

    protected override ReadOnlySpan<ushort> QueueSizes => [QueueSize];

    private bool IsVirtualTime => _timer is not null;

    public override void ReadConfiguration(Span<byte> configuration)
    {
        configuration.Clear();
        BlockLimits limits = _disk.Limits;
        BinaryPrimitives.WriteInt64LittleEndian(configuration, _disk.Length / BlockLimits.SectorSize);
        Set(configuration, VirtioBlockLayout.SegmentMaximumField, MaximumSegments);
        Set(configuration, VirtioBlockLayout.BlockSizeField, (uint)limits.LogicalBlockSize);
        configuration[VirtioBlockLayout.PhysicalBlockExponent] = (byte)BitOperations.Log2((uint)(limits.PhysicalBlockSize / limits.LogicalBlockSize));
        BinaryPrimitives.WriteUInt16LittleEndian(configuration[VirtioBlockLayout.MinimumIo..], (ushort)(limits.PhysicalBlockSize / limits.LogicalBlockSize));
        Set(configuration, VirtioBlockLayout.MaximumDiscardSectors, MaximumRangeSectors);
        Set(configuration, VirtioBlockLayout.MaximumDiscardRanges, BlockRequest.MaximumRanges);
        Set(configuration, VirtioBlockLayout.DiscardAlignment, (uint)limits.DiscardGranularity / BlockLimits.SectorSize);
        Set(configuration, VirtioBlockLayout.MaximumZeroSectors, MaximumRangeSectors);
        Set(configuration, VirtioBlockLayout.MaximumZeroRanges, BlockRequest.MaximumRanges);
        configuration[VirtioBlockLayout.ZeroesMayUnmap] = 1;
    }

    /// <summary>Takes the disk away: requests from now on fail, and those under way end as they do.</summary>
    public void CutOff() => _isCutOff = true;

    public override void WaitUntilIdle() => _runner.WaitUntilIdle();

    /// <summary>Waits for what is under way: the disk may be closed then.</summary>
    public void Dispose()
    {
        WaitUntilIdle();
        Abandon();
    }

    protected override void OnAttached()
    {
        _timer = Transport.Machine.Clock.IsVirtual ? Transport.Machine.Clock.CreateTimer(Transport.Id, DeliverDue) : null;
        _posted = 0;
        if (_disk.GetCapability<IResizable>() is { } resizable)
        {
            resizable.Resized += OnResized;
        }
    }

    protected override void OnDetaching()
    {
        if (_disk.GetCapability<IResizable>() is { } resizable)
        {
            resizable.Resized -= OnResized;
        }

        _timer = null;
    }

    protected override void OnReset()
    {
        Abandon();
        _timer?.Cancel();
    }

    protected override void OnNotified(int queue)
    {
        try
        {
            TakeRequests(queue);
        }
        finally
        {
            // Also what came before something that breaks a rule: whoever waits for the device to be idle waits for it.
            _runner.Start();
            GiveBackAnswered();
        }
    }

    protected override void SaveOwnState(StateWriter state) => SaveHeads(state, [.. _underWay.Select(request => request.Chain.Head), .. _restored]);

    protected override void RestoreOwnState(StateReader state)
    {
        OnReset();
        _restored.AddRange(RestoreHeads(state, QueueSize, QueueSize));
        if (_restored.Count != 0)
        {
            Transport.Machine.Post(_resubmit);
        }
    }

    private static void Set(Span<byte> configuration, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(configuration[offset..], value);

    private void TakeRequests(int queue)
    {
        _atOnce = MaximumAtOnce;
        do
        {
            BlockRequest request = Rent();
            while (Queues[queue].TryPop(request.Chain))
            {
                Begin(request);
                request = Rent();
            }

            _free.Push(request);
            Queues[queue].RequestNotification();
        }
        while (Queues[queue].HasAvailable);
    }

    private BlockRequest Rent() => _free.TryPop(out BlockRequest? request) ? request : new BlockRequest(Transport.Machine.Memory);

    /// <summary>Begins a request whose chain was read.</summary>
    private void Begin(BlockRequest request)
    {
        if (_underWay.Count == QueueSize)
        {
            throw new VirtioGuestErrorException($"{QueueSize} requests are under way, and another one uses a chain of theirs again");
        }

        request.Parse();
        request.IsWriteThrough = (Features & VirtioBlockLayout.Flush) == 0;
        bool isAnswered = TryAnswer(request);
        _underWay.Add(request);
        bool isDone = isAnswered || TryRunNow(request);
        ScheduleInVirtualTime(request);
        if (!isDone)
        {
            return;
        }

        request.IsDone = true;
        if (!IsVirtualTime)
        {
            _done.Enqueue(request);
        }
    }

    /// <summary>Carries a short request out on this thread, if the disk does not wait for anything; has another thread do it otherwise.</summary>
    /// <returns>Whether it is done.</returns>
    private bool TryRunNow(BlockRequest request)
    {
        bool mayRunNow = request.Type switch
        {
            _ when _nonBlocking is null || request.Data.Length > _atOnce => false,
            VirtioBlockLayout.In => _nonBlocking.ReadNeverWaits(request.Offset, request.Data.Length),
            VirtioBlockLayout.Out => !request.IsWriteThrough && _nonBlocking.WriteNeverWaits(request.Offset, request.Data.Length),
            _ => false,
        };
        if (!mayRunNow)
        {
            _runner.Submit(request);
            return false;
        }

        _atOnce -= request.Data.Length;
        return _runner.TryRunNow(request);
    }

    /// <summary>Answers a request that needs no work of the disk: it is wrong, or asks for the name.</summary>
    private bool TryAnswer(BlockRequest request)
    {
        switch (request.Type)
        {
            case not VirtioBlockLayout.GetId when _isCutOff:
                return true;
            case VirtioBlockLayout.In:
                return !IsValid(request.Offset, request.Data.Length);
            case VirtioBlockLayout.Out:
                return _disk.IsReadOnly || !IsValid(request.Offset, request.Data.Length);
            case VirtioBlockLayout.FlushRequest:
                return false;
            case VirtioBlockLayout.GetId:
                request.WriteId(_id);
                return true;
            case VirtioBlockLayout.DiscardRequest when (OwnFeatures & VirtioBlockLayout.Discard) != 0:
            case VirtioBlockLayout.WriteZeroesRequest when (OwnFeatures & VirtioBlockLayout.WriteZeroes) != 0:
                return !AreValid(request.Ranges);
            default:
                request.Status = VirtioBlockLayout.Unsupported;
                return true;
        }
    }

    private bool IsValid(long offset, long length) =>
        ((offset | length) & (_disk.Limits.LogicalBlockSize - 1)) == 0 && length <= _disk.Length && offset <= _disk.Length - length;

    private bool AreValid(ReadOnlySpan<(long Offset, long Length, bool MayUnmap)> ranges)
    {
        foreach ((long offset, long length, _) in ranges)
        {
            if (!IsValid(offset, length))
            {
                return false;
            }
        }

        return true;
    }

    private void ScheduleInVirtualTime(BlockRequest request)
    {
        if (!IsVirtualTime)
        {
            return;
        }

        request.Deadline = Transport.Machine.Clock.Nanoseconds + VirtualLatency;
        if (_timer!.Deadline is null)
        {
            _timer.Schedule(request.Deadline);
        }
    }

    /// <summary>A request is done; on whatever thread. In virtual time the guest is notified when that is due.</summary>
    private void OnDone(BlockRequest request)
    {
        if (IsVirtualTime)
        {
            return;
        }

        _done.Enqueue(request);
        if (Interlocked.Exchange(ref _posted, 1) == 0)
        {
            Transport.Machine.Post(_deliver);
        }
    }

    private void Deliver()
    {
        Interlocked.Exchange(ref _posted, 0);
        GiveBackAnswered();
    }

    /// <summary>Gives back all that is done, with one interrupt.</summary>
    private void GiveBackAnswered() => Guard(0, static (device, _) => ((VirtioBlock)device).GiveBackDone());

    private void GiveBackDone()
    {
        while (_done.TryDequeue(out BlockRequest? request))
        {
            GiveBack(request);
        }

        EndBatch();
    }

    /// <summary>In virtual time: what is due is waited for.</summary>
    private void DeliverDue() => Guard(0, static (device, _) => ((VirtioBlock)device).GiveBackDue());

    private void GiveBackDue()
    {
        ulong now = Transport.Machine.Clock.Nanoseconds;
        while (_underWay.Count != 0 && _underWay[0].Deadline <= now)
        {
            _runner.WaitFor(_underWay[0]);
            GiveBack(_underWay[0]);
        }

        if (_underWay.Count != 0)
        {
            _timer!.Schedule(_underWay[0].Deadline);
        }

        EndBatch();
    }

    private void GiveBack(BlockRequest request)
    {
        _underWay.Remove(request);
        _free.Push(request);
        if (!IsActive)
        {
            request.Release();
            return;
        }

        // A result that cannot be given breaks the device, and keeps no other request from ending.
        Guard(0, request, static (device, done) => device.Queues[0].Push(done.Chain.Head, done.Complete()));
    }

    private void EndBatch()
    {
        if (IsActive && Queues[0].TakeInterrupt())
        {
            Transport.InterruptQueue(0);
        }

        if (_underWay.Count == 0)
        {
            Transport.CompleteReset();
        }
    }

    /// <summary>Forgets what is under way, which is done.</summary>
    private void Abandon()
    {
        WaitUntilIdle();
        _done.Clear();
        foreach (BlockRequest request in _underWay)
        {
            request.Release();
            _free.Push(request);
        }

        _underWay.Clear();
        _restored.Clear();
    }

    private void Resubmit() => Guard(0, static (device, _) => ((VirtioBlock)device).ResubmitAll());

    private void ResubmitAll()
    {
        try
        {
            foreach (ushort head in _restored)
            {
                BlockRequest request = Rent();
                Queues[0].ReadChain(head, request.Chain);
                Begin(request);
            }
        }
        finally
        {
            _restored.Clear();
            _runner.Start();
            GiveBackAnswered();
        }
    }

    private void OnResized(object? sender, EventArgs e) => Transport.Machine.Post(() => Transport.InterruptConfiguration());
}
