using System.Buffers.Binary;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Devices.Board;
using Uml.Devices.Virtio;
using Uml.Hosting.Testing;
using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// Writes records to a disk through its virtio device, as a driver in the guest does: some at a time, and a flush for them while the next are on
/// their way.
/// </summary>
internal sealed class DriverWriter : IDisposable
{
    private const uint Out = 1, FlushRequest = 4, WriteZeroes = 13;
    private const int MaximumBatch = 16, Slots = 64, Stride = 0x2000, HeaderLength = 16, ResultAt = 0x100, DataAt = 0x1000;
    private const ulong Rings = 0x4_0000, Memory = 0x20_0000;

    private readonly RecordPlan _plan;
    private readonly Random _random;
    private readonly DeviceSandbox _sandbox;
    private readonly VirtioPciDriver _driver;
    private readonly VirtioDriverQueue _queue;
    private readonly Stack<int> _free = new(Enumerable.Range(0, Slots));
    private readonly Dictionary<ushort, int> _underWay = [];

    public DriverWriter(IBlockDevice disk, RecordPlan plan, int seed)
    {
        (_plan, _random) = (plan, new Random(seed));
        _sandbox = new DeviceSandbox(builder => builder
            .Configure(machine => (machine.MemorySize, machine.ClockMode) = (8 << 20, ClockMode.Real))
            .AddStandardBoard()
            .AddBlockDevice(disk));
        _driver = new VirtioPciDriver(_sandbox, deviceType: 2);
        _driver.Negotiate(ulong.MaxValue);
        _queue = _driver.SetUpQueue(0, Rings);
        _driver.Start();
    }

    /// <summary>Writes until it is told not to go on.</summary>
    /// <param name="first">The number of the first record.</param>
    /// <param name="goesOn">Asked before each batch.</param>
    /// <param name="acknowledge">Told of the last record that a flush has made durable.</param>
    /// <exception cref="DiskFailedException">The disk failed a request.</exception>
    public void Run(long first, Func<bool> goesOn, Action<long> acknowledge)
    {
        ushort? flush = null;
        for (long next = first; goesOn();)
        {
            long before = next;
            List<ushort> writes = [];
            HashSet<long> slots = [];

            // Two writes to one place at once would end in an order that nobody knows.
            for (int count = 1 + _random.Next(MaximumBatch); count > 0 && slots.Add(_plan.GetSlot(next)); count--)
            {
                writes.Add(Write(next++));
            }

            _driver.Notify(0);
            WaitFor(() => !writes.Exists(_underWay.ContainsKey) && (flush is not { } head || !_underWay.ContainsKey(head)));
            if (flush is not null)
            {
                acknowledge(before - 1);
            }

            flush = Submit(FlushRequest, 0, 0);
            _driver.Notify(0);
        }
    }

    public void Dispose() => _sandbox.Dispose();

    private ushort Write(long number)
    {
        int slot = _free.Peek();
        bool isZeroes = _plan.IsZeroes(number);
        Span<byte> data = stackalloc byte[RecordPlan.RecordLength];
        _plan.Fill(number, data);
        if (isZeroes)
        {
            BinaryPrimitives.WriteInt64LittleEndian(data, _plan.GetOffset(number) / RecordPlan.SectorLength);
            BinaryPrimitives.WriteInt32LittleEndian(data[8..], RecordPlan.RecordLength / RecordPlan.SectorLength);
            data = data[..16];
        }

        _sandbox.Memory.TryWrite(new(Address(slot) + DataAt), data);
        return Submit(isZeroes ? WriteZeroes : Out, isZeroes ? 0 : _plan.GetOffset(number), data.Length);
    }

    private ushort Submit(uint type, long offset, int length)
    {
        int slot = _free.Pop();
        Span<byte> header = stackalloc byte[HeaderLength];
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], offset / RecordPlan.SectorLength);
        ulong address = Address(slot);
        _sandbox.Memory.TryWrite(new(address), header);
        _sandbox.Memory.TryWrite(new(address + ResultAt), [0xEE]);
        VirtioBuffer result = new(address + ResultAt, 1, true);
        ushort head = _queue.Add(length == 0 ? [new(address, HeaderLength, false), result] : [new(address, HeaderLength, false), new(address + DataAt, (uint)length, false), result]);
        _underWay.Add(head, slot);
        return head;
    }

    private void WaitFor(Func<bool> isDone)
    {
        while (true)
        {
            while (_queue.TryTakeUsed(out ushort head, out _))
            {
                _underWay.Remove(head, out int slot);
                _free.Push(slot);
                CheckResult(slot);
            }

            if (isDone())
            {
                return;
            }

            _sandbox.Advance(1000);
            Thread.Yield();
        }
    }

    private void CheckResult(int slot)
    {
        Span<byte> result = stackalloc byte[1];
        _sandbox.Memory.TryRead(new(Address(slot) + ResultAt), result);
        if (result[0] != 0)
        {
            throw new DiskFailedException(result[0]);
        }
    }

    private static ulong Address(int slot) => Memory + ((ulong)slot * Stride);
}
