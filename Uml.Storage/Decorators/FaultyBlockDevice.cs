using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>A device some of whose requests fail, as a test wants them to. With one seed and one order of requests, always the same ones.</summary>
public sealed class FaultyBlockDevice : BlockDeviceDecorator
{
    private readonly Lock _lock = new();
    private readonly Random _random;
    private readonly State[] _faults;
    private long _failed;
    private bool _hasPower = true;

    /// <summary>Makes a device with faults.</summary>
    /// <param name="inner">The device inside.</param>
    /// <param name="faults">The failures; of several that a request meets, the first happens.</param>
    /// <param name="seed">What probabilities and random lengths follow from.</param>
    /// <exception cref="ArgumentException">A probability is not 0 to 1, or a number negative.</exception>
    public FaultyBlockDevice(IBlockDevice inner, IEnumerable<BlockFault> faults, int seed = 0)
        : base(inner)
    {
        ArgumentNullException.ThrowIfNull(faults);
        _random = new Random(seed);
        _faults = [.. faults.Select(fault => new State(Check(fault)))];
    }

    /// <summary>Requests that were made to fail.</summary>
    public long FailedRequests => Interlocked.Read(ref _failed);

    /// <summary>Fails every later request with <see cref="BlockError.Gone"/>, as when the power goes.</summary>
    public void CutPower() => Volatile.Write(ref _hasPower, false);

    /// <inheritdoc/>
    protected override ValueTask SendAsync(BlockRequest request, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Choose(in request, out long transferred) is { } error ? FailAsync(request, error, transferred) : base.SendAsync(request, cancellationToken);
    }

    private static BlockFault Check(BlockFault fault) => fault switch
    {
        { Probability: not (>= 0 and <= 1) } => throw new ArgumentException($"A probability of {fault.Probability} is not within 0 and 1.", nameof(fault)),
        { Nth: < 1 } => throw new ArgumentException($"The first request is 1, and there is no {fault.Nth}th.", nameof(fault)),
        { Offset: < 0 } or { Length: < 0 } or { TransferredBytes: < 0 } => throw new ArgumentException(
            $"A fault at {fault.Offset} of {fault.Length} bytes that transfers {fault.TransferredBytes} has a negative number.", nameof(fault)),
        _ => fault,
    };

    private BlockError? Choose(in BlockRequest request, out long transferred)
    {
        transferred = 0;
        lock (_lock)
        {
            if (!Volatile.Read(ref _hasPower))
            {
                return BlockError.Gone;
            }

            foreach (State state in _faults)
            {
                if (state.Happens(in request, _random))
                {
                    _hasPower = state.Fault.Repeat != BlockFaultRepeat.PowerLoss;
                    transferred = request.HasRange ? GetTransferred(state.Fault, request.Length) : 0;
                    return state.Fault.Error;
                }
            }
        }

        return null;
    }

    private long GetTransferred(BlockFault fault, long length)
    {
        long block = Limits.LogicalBlockSize;
        return fault.TransfersAtRandom ? _random.NextInt64(Math.Max(length / block, 1)) * block : Math.Min(fault.TransferredBytes, length) / block * block;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FailAsync(BlockRequest request, BlockError error, long transferred)
    {
        Interlocked.Increment(ref _failed);
        if (transferred > 0)
        {
            await base.SendAsync(request.Start(transferred), CancellationToken.None).ConfigureAwait(false);
        }

        throw new BlockIOException(
            $"{request.Kind} of {request.Length} bytes at {request.Offset} was made to fail behind {transferred} bytes: {error}.", error);
    }

    /// <summary>A fault and what has become of it.</summary>
    private sealed class State(BlockFault fault)
    {
        private long _met;
        private bool _happened;

        public BlockFault Fault => fault;

        public bool Happens(in BlockRequest request, Random random)
        {
            if (!fault.Concerns(in request) || (_happened && fault.Repeat == BlockFaultRepeat.Once))
            {
                return false;
            }

            if (_happened && fault.Repeat == BlockFaultRepeat.Sticky)
            {
                return true;
            }

            bool happens = (fault.Predicate?.Invoke(request) ?? true)
                && (fault.Probability >= 1 || random.NextDouble() < fault.Probability)
                && (++_met == fault.Nth || fault.Nth is null);
            _happened |= happens;
            return happens;
        }
    }
}
