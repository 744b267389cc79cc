using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>
/// A device around another one, which passes everything on: a base class for what changes, delays or watches requests. It has the
/// capabilities of the device inside, which it closes with itself unless that is to stay open.
/// </summary>
/// <remarks>
/// Every request goes through <see cref="SendAsync"/>, the one member that most decorators override. One that may wait in it before it
/// returns overrides <see cref="ReadNeverWaits"/> and <see cref="WriteNeverWaits"/> as well.
/// </remarks>
public abstract class BlockDeviceDecorator : IBlockDevice, IFlushable, IDiscardable, IZeroable, IResizable, INonBlocking
{
    private readonly IFlushable? _flushable;
    private readonly IDiscardable? _discardable;
    private readonly IZeroable? _zeroable;
    private readonly IResizable? _resizable;
    private readonly INonBlocking? _nonBlocking;
    private readonly bool _leavesOpen;

    /// <summary>Makes a decorator.</summary>
    /// <param name="inner">The device inside.</param>
    /// <param name="leavesOpen">Whether the device inside stays open when this one is closed.</param>
    protected BlockDeviceDecorator(IBlockDevice inner, bool leavesOpen = false)
    {
        ArgumentNullException.ThrowIfNull(inner);
        (Inner, _leavesOpen) = (inner, leavesOpen);
        _flushable = inner.GetCapability<IFlushable>();
        _discardable = inner.GetCapability<IDiscardable>();
        _zeroable = inner.GetCapability<IZeroable>();
        _resizable = inner.GetCapability<IResizable>();
        _nonBlocking = inner.GetCapability<INonBlocking>();
    }

    /// <inheritdoc/>
    public event EventHandler? Resized
    {
        add => (_resizable ?? throw Lacks("its size cannot change")).Resized += value;
        remove => (_resizable ?? throw Lacks("its size cannot change")).Resized -= value;
    }

    /// <summary>The device inside.</summary>
    public IBlockDevice Inner { get; }

    /// <inheritdoc/>
    public long Length => Inner.Length;

    /// <inheritdoc/>
    public virtual bool IsReadOnly => Inner.IsReadOnly;

    /// <inheritdoc/>
    public BlockLimits Limits => Inner.Limits;

    /// <inheritdoc/>
    /// <remarks>Of the device inside; no, where that makes no such promise.</remarks>
    public virtual bool ReadNeverWaits(long offset, int length) => _nonBlocking?.ReadNeverWaits(offset, length) ?? false;

    /// <inheritdoc/>
    /// <remarks>Of the device inside; no, where that makes no such promise.</remarks>
    public virtual bool WriteNeverWaits(long offset, int length) => _nonBlocking?.WriteNeverWaits(offset, length) ?? false;

    /// <inheritdoc/>
    /// <remarks>What is not an interface of requests comes from the device inside as it is.</remarks>
    public virtual T? GetCapability<T>()
        where T : class => (IsOfRequests(typeof(T)) || typeof(T) == typeof(INonBlocking)) && Inner.GetCapability<T>() is null
            ? null : this as T ?? Inner.GetCapability<T>();

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) =>
        SendAsync(new BlockRequest(BlockRequestKind.Read, offset, buffers.Length, buffers), cancellationToken);

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) =>
        SendAsync(new BlockRequest(BlockRequestKind.Write, offset, buffers.Length, buffers), cancellationToken);

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => SendAsync(new BlockRequest(BlockRequestKind.Flush), cancellationToken);

    /// <inheritdoc/>
    public ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        SendAsync(new BlockRequest(BlockRequestKind.Discard, offset, length), cancellationToken);

    /// <inheritdoc/>
    public ValueTask WriteZeroesAsync(long offset, long length, bool mayDiscard, CancellationToken cancellationToken = default) =>
        SendAsync(new BlockRequest(BlockRequestKind.WriteZeroes, offset, length, MayDiscard: mayDiscard), cancellationToken);

    /// <inheritdoc/>
    public ValueTask ResizeAsync(long length, CancellationToken cancellationToken = default) =>
        SendAsync(new BlockRequest(BlockRequestKind.Resize, Length: length), cancellationToken);

    /// <inheritdoc/>
    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return _leavesOpen ? ValueTask.CompletedTask : Inner.DisposeAsync();
    }

    /// <summary>Carries a request out. As it is here, by the device inside.</summary>
    /// <param name="request">The request, whose range was not checked.</param>
    /// <param name="cancellationToken">Looked at before the request begins.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not aligned, or not within the device.</exception>
    /// <exception cref="NotSupportedException">The device has no such request: its capability was not asked for.</exception>
    /// <exception cref="IOException">The request failed.</exception>
    protected virtual ValueTask SendAsync(BlockRequest request, CancellationToken cancellationToken) => request.Kind switch
    {
        BlockRequestKind.Read => Inner.ReadAsync(request.Offset, request.Buffers, cancellationToken),
        BlockRequestKind.Write => Inner.WriteAsync(request.Offset, request.Buffers, cancellationToken),
        BlockRequestKind.Flush => (_flushable ?? throw Lacks("it has nothing to flush")).FlushAsync(cancellationToken),
        BlockRequestKind.Discard => (_discardable ?? throw Lacks("it cannot discard")).DiscardAsync(request.Offset, request.Length, cancellationToken),
        BlockRequestKind.WriteZeroes => (_zeroable ?? throw Lacks("it needs zeroes to be written")).WriteZeroesAsync(
            request.Offset, request.Length, request.MayDiscard, cancellationToken),
        BlockRequestKind.Resize => (_resizable ?? throw Lacks("its size cannot change")).ResizeAsync(request.Length, cancellationToken),
        _ => throw new ArgumentException($"{request.Kind} is no kind of one request.", nameof(request)),
    };

    /// <summary>Whether a capability is one of requests, which pass through <see cref="SendAsync"/>.</summary>
    private protected static bool IsOfRequests(Type type) =>
        type == typeof(IFlushable) || type == typeof(IDiscardable) || type == typeof(IZeroable) || type == typeof(IResizable);

    private static NotSupportedException Lacks(string what) =>
        new($"The device inside lacks a capability: {what}. Ask {nameof(GetCapability)} before such a request.");
}
